// Reads from LMDB beside the commits.
#pragma once

#include <asio/post.hpp>
#include <asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "log/store/files/lmdb.h"
#include "net/loop/loop.h"
#include "paxos/base/result.h"

namespace stele::log {

/// Has a thread of its own, or reads at once. All functions are for the loop's thread.
class TableReader final : public std::enable_shared_from_this<TableReader> {
 public:
  /// `on_failure` is called on the loop if the tables cannot be read. `lmdb` outlives stop(), the
  /// loop what is posted to it.
  TableReader(Lmdb& lmdb, net::Loop& loop, std::function<void(Error)> on_failure)
      : lmdb_(lmdb), loop_(loop), on_failure_(std::move(on_failure)) {}

  void start_thread() { thread_.emplace(1); }
  /// What is under way ends, what waits is dropped. Nothing is called any more.
  void stop() {
    stopped_ = true;
    thread_.reset();
  }

  /// Runs `get(Lmdb::Txn&)`, which gives a Result, on a fresh snapshot; then `done(value)` on the
  /// loop.
  template <class Get, class Done>
  void read(Get get, Done done) {
    enqueue([self = shared_from_this(), get = std::move(get), done = std::move(done)] {
      auto snapshot = self->lmdb_.begin(false);
      auto result = snapshot ? get(*snapshot) : forward(snapshot);
      if (!result) {
        self->loop_.post([self, error = result.error()] {
          if (!self->stopped_) self->on_failure_(error);
        });
        return;
      }
      using Value = typename decltype(result)::value_type;
      auto value = std::make_shared<Value>(*std::move(result));
      self->loop_.post([self, done, value] {
        if (!self->stopped_) done(std::move(*value));
      });
    });
  }
  /// Runs `task` in its place among the reads.
  template <class Task>
  void enqueue(Task task) {
    if (!thread_) return task();
    asio::post(*thread_,
               [self = shared_from_this(), task = std::move(task)] { self->loop_.guard(task); });
  }

 private:
  Lmdb& lmdb_;
  net::Loop& loop_;
  std::function<void(Error)> on_failure_;
  bool stopped_ = false;
  std::optional<asio::thread_pool> thread_;
};

}  // namespace stele::log

// What is to be told to a client's callers.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <stele/client_types.h>
#include <stele/completion.h>
#include <stele/retention.h>

namespace stele::log {

/// Gets called once, on the loop, never from within the call that took it.
using AppendDone = detail::Completion<AppendResult>;
using ReadDone = std::function<void(std::optional<Errc>, ReadResult)>;
using RetentionDone = std::function<void(std::optional<Errc>, RetentionReport)>;
using StatusDone = std::function<void(std::vector<NodeStatus>)>;

/// Told one after the other, in the order in which they were added. Loop thread only.
class Completions {
 public:
  void add(std::unique_ptr<AppendDone> done, std::optional<Errc> error, AppendResult result) {
    // Most of them are successes, and there are many.
    if (!error) return waiting_.push_back({std::move(done), result.lsn, {}});
    add([done = std::shared_ptr<AppendDone>(std::move(done)), error, result = std::move(result)] {
      done->complete(error, result);
    });
  }
  void add(ReadDone done, std::optional<Errc> error, ReadResult result) {
    add([done = std::move(done), error, result = std::move(result)]() mutable {
      done(error, std::move(result));
    });
  }
  void add(std::function<void()> call) { waiting_.push_back({{}, {}, std::move(call)}); }

  [[nodiscard]] bool empty() const { return told_ == waiting_.size(); }
  [[nodiscard]] std::size_t size() const { return waiting_.size() - told_; }
  /// Frees what has been told.
  void drop_told() {
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(told_));
    told_ = 0;
  }
  /// False if there is nothing to be told. The client, and this, may be gone afterwards.
  bool tell_next();

 private:
  /// An append's success, or a call.
  struct Completed {
    std::unique_ptr<AppendDone> append;
    Lsn lsn;
    std::function<void()> call;
  };

  std::vector<Completed> waiting_;
  std::size_t told_ = 0;  // The first ones of them.
};

}  // namespace stele::log

// A mailbox drained on the loop: the small machine around every role.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "net/loop/loop.h"

namespace stele::net {

/// Letters that pile up until the loop turns to this actor are handled together: handle() for each,
/// then flush() once. Batches form by themselves, without a timer. Loop thread only.
template <class Letter>
class Actor {
 public:
  Actor(Loop& loop, std::size_t letters_max) : loop_(loop), letters_max_(letters_max) {}
  virtual ~Actor() = default;
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  /// False, and the letter is dropped, if the mailbox is full: a sender that must know sends again.
  bool tell(Letter letter) {
    if (mailbox_.size() >= letters_max_) return false;
    mailbox_.push_back(std::move(letter));
    wake();
    return true;
  }

  /// Drains, or at least flushes, in a turn of the loop of its own.
  void wake() {
    if (scheduled_) return;
    scheduled_ = true;
    loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
      if (alive.lock()) drain();
    });
  }

  [[nodiscard]] Loop& loop() { return loop_; }

 protected:
  virtual void handle(Letter& letter) = 0;
  virtual void flush() = 0;

 private:
  void drain() {
    scheduled_ = false;
    draining_.swap(mailbox_);
    for (Letter& letter : draining_) handle(letter);
    draining_.clear();
    flush();
  }

  Loop& loop_;
  std::size_t letters_max_;
  std::vector<Letter> mailbox_;
  std::vector<Letter> draining_;
  bool scheduled_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stele::net

// One client's connection to a node: its reads, its tails, and its share of the results.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "log/service/service.h"

namespace stele::log {

class ClientService::Client final : public net::LinkHandler {
 public:
  /// `guest`: the node has as many clients as it takes; this one may ask for its status, and is
  /// refused if it says anything else, or nothing for a while.
  Client(ClientService& service, std::uint64_t id, std::unique_ptr<net::Link> link, bool guest);
  void on_message(net::Message message) override;
  void on_closed(const std::string&) override {
    dropped_ = true;
    service_.drop(*this);
  }
  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] bool guest() const { return guest_; }
  /// Told together at the end of the turn.
  void add_result(const CommandResult& result);
  void flush_results();
  /// Tells what there is if that is a message's worth; false if the client is gone for it.
  [[nodiscard]] bool takes_results();

  /// An answer that cannot be queued would be lost: then the connection ends, and the client asks
  /// again.
  void send(const net::Message& message);
  void refuse(const std::string& reason);
  /// Closes the connection without a word: the client comes again.
  void end();
  void tick(Time now);
  void pump_tails();
  /// Counts what is queued for it, and being read for it, among that of all.
  void count_bytes();
  [[nodiscard]] std::size_t counted_bytes() const { return counted_bytes_; }
  [[nodiscard]] bool waits() const { return !reads_.empty() || !tails_.empty(); }
  /// There may be room for what waits.
  void go_on();
  void end_tails(Outcome outcome);

 private:
  struct TailState {
    Lsn next;
    std::int64_t credit = 0;
    bool reading = false;
  };

  // --- Reads ---------------------------------------------------------------------------

  void on_read(const net::Read& read);
  void serve_waiting_reads();

  /// So much a read of `bytes_max` may bring: one entry comes in any case.
  [[nodiscard]] std::size_t read_bytes(std::size_t bytes_max) const;
  /// The answer to a read that serve() began.
  void finish_read(std::size_t bytes_max, const net::ReadAnswer& result);
  void serve(const net::Read& read, std::size_t bytes_max);
  net::ReadAnswer refused(const net::Read& read, Outcome outcome) const;
  net::ReadAnswer blank(const net::Read& read) const;

  // --- Tails ---------------------------------------------------------------------------

  void on_tail(const net::Tail& tail);
  void on_credit(const net::TailCredit& credit);
  void pump(std::uint64_t request, TailState& tail);
  void on_tail_read(std::uint64_t request, EntriesRead read);

  ClientService& service_;
  std::uint64_t id_;
  bool guest_;
  Time came_at_;
  std::unique_ptr<net::Link> link_;
  std::vector<CommandResult> results_;
  std::size_t confirming_ = 0;     // Reads that are not confirmed yet,
  std::deque<net::Read> reads_;    // that wait for room in the link's queue,
  std::size_t reading_ = 0;        // and that are being served:
  std::size_t reading_bytes_ = 0;  // so much at most, tails included.
  std::size_t counted_bytes_ = 0;
  std::map<std::uint64_t, TailState> tails_;
  Time kept_alive_at_{};
  bool dropped_ = false;  // Refused, or closed; it only waits to be destroyed.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stele::log

#include "tests/cluster/load.h"

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <functional>

#include "bench/cluster/cluster.h"

namespace stele::test {
namespace {

/// Reads begin at about this distance, or else the history grows by the whole log with each.
constexpr std::chrono::milliseconds kReadEvery{5};
constexpr std::uint64_t kEntriesPerRead = 20;

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

}  // namespace

class Load::Runner {
 public:
  Runner(const ClientOptions& options, const std::vector<Writer>& writers, bool with_tail,
         std::atomic<std::uint64_t>& acknowledged)
      : acknowledged_(acknowledged) {
    for (const Writer& writer : writers) {
      clients_.push_back(std::make_unique<Client>(context_, options));
      writers_.push_back(writer);
    }
    if (with_tail) tail_client_ = std::make_unique<Client>(context_, options);
    nodes_ = options.addresses.size();
    reader_ = std::make_unique<Client>(context_, options);
  }

  void run() {
    for (std::size_t i = 0; i < writers_.size(); ++i) {
      for (std::size_t k = 0; k < writers_[i].in_flight; ++k) append(i);
    }
    if (tail_client_) {
      history_.tails.emplace_back();
      tail({1});
    }
    read();
    const auto work = asio::make_work_guard(context_);
    context_.run();
  }

  void stop_writing() {
    asio::post(context_, [this] { writing_ = false; });
  }
  [[nodiscard]] bool quiet() const { return !writing_ && in_flight_ == 0; }
  [[nodiscard]] std::uint64_t tailed() const { return tailed_; }
  void end() { context_.stop(); }
  History& history() { return history_; }

 private:
  void append(std::size_t writer) {
    if (!writing_) return;
    const std::size_t index = history_.appends.size();
    ++in_flight_;
    Append append;
    append.writer = writer + 1;
    append.payload = "w" + std::to_string(writer + 1) + "-" + std::to_string(index) + "-";
    append.payload.resize(std::max(append.payload.size(), writers_[writer].payload_bytes), '.');
    append.began = now_ns();
    history_.appends.push_back(append);
    clients_[writer]->async_append(
        asio::buffer(append.payload), writers_[writer].timeout,
        [this, writer, index](asio::error_code error, const AppendResult& result) {
          Append& done = history_.appends[index];
          done.ended = now_ns();
          if (!error) {
            done.fate = Append::Fate::acknowledged;
            done.lsn = result.lsn.value;
            ++acknowledged_;
          } else if (!result.may_be_appended) {
            done.fate = Append::Fate::refused;
          }
          --in_flight_;
          this->append(writer);
        });
  }

  /// The end of the log: linearizable, and every third time from one of the nodes' own state.
  void read() {
    if (!writing_) return;
    ++in_flight_;
    ReadOptions options;
    options.lsn_begin = Lsn{log_end_ > kEntriesPerRead ? log_end_ - kEntriesPerRead : 1};
    options.bytes_max = 4096;
    options.timeout = std::chrono::seconds(2);
    const std::uint64_t number = ++reads_;
    if (number % 3 == 0) options.node = NodeId{1 + number / 3 % nodes_};
    const std::int64_t began = now_ns();
    reader_->async_read(
        options, [this, options, began](asio::error_code error, const ReadResult& result) {
          if (!error) {
            Read read;
            read.linearizable = options.node == NodeId{};
            read.began = began;
            read.ended = now_ns();
            read.from = options.lsn_begin.value;
            for (const Entry& entry : result.entries) {
              read.entries.emplace_back(reinterpret_cast<const char*>(entry.payload.data()),
                                        entry.payload.size());
            }
            read.end = result.lsn_end.value;
            if (read.linearizable) log_end_ = read.end;
            history_.reads.push_back(std::move(read));
          }
          --in_flight_;
          pause_.expires_after(kReadEvery);
          pause_.async_wait([this](asio::error_code) { this->read(); });
        });
  }

  void tail(Lsn from) {
    tail_client_->async_tail(from, [this](asio::error_code error, ReadResult result) {
      if (error) return;
      for (const Entry& entry : result.entries) {
        history_.tails.at(0).entries.emplace_back(
            reinterpret_cast<const char*>(entry.payload.data()), entry.payload.size());
      }
      tailed_ = history_.tails.at(0).entries.size();
      tail(result.lsn_next);
    });
  }

  asio::io_context context_{1};
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Writer> writers_;
  std::unique_ptr<Client> tail_client_;
  std::unique_ptr<Client> reader_;
  asio::steady_timer pause_{context_};
  std::size_t nodes_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t log_end_ = 1;
  History history_;
  std::atomic<std::uint64_t>& acknowledged_;
  std::atomic<bool> writing_{true};
  std::atomic<std::uint64_t> in_flight_{0};
  std::atomic<std::uint64_t> tailed_{0};
};

Load::Load(const ClientOptions& options, std::vector<Writer> writers, bool with_tail)
    : runner_(std::make_unique<Runner>(options, writers, with_tail, acknowledged_)),
      thread_([this] { runner_->run(); }) {}

Load::~Load() {
  runner_->end();
  if (thread_.joinable()) thread_.join();
}

bool Load::progresses(std::uint64_t more) const {
  const std::uint64_t wanted = acknowledged_ + more;
  return eventually([&] { return acknowledged_ >= wanted; });
}

std::uint64_t Load::tailed() const { return runner_->tailed(); }

void Load::stop_writing() {
  runner_->stop_writing();
  if (!eventually([&] { return runner_->quiet(); })) throw std::runtime_error("appends do not end");
}

History Load::finish(std::uint64_t entries) {
  const bool arrived = eventually([&] { return runner_->tailed() >= entries; });
  runner_->end();
  thread_.join();
  if (!arrived) throw std::runtime_error("the tail does not arrive");
  return std::move(runner_->history());
}

}  // namespace stele::test

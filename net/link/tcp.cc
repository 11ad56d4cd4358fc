#include "net/link/tcp.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include <array>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <cstring>
#include <deque>
#include <utility>

#include "net/link/connector.h"
#include "net/link/read_buffer.h"
#include "net/link/tcp_link.h"
#include "net/wire/codec.h"
#include "net/wire/frame.h"

namespace stele::net {
namespace {

using asio::ip::tcp;
using KeepAliveIdle = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
using KeepAliveInterval = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
using UserTimeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;

constexpr std::size_t kGatherMax = 64;
constexpr std::array<std::byte, 8> kPadding{};
/// A frame may take so long, 1 MB/s, if others wait for its memory.
constexpr std::chrono::microseconds kPerByteMax{1};

std::string describe(const asio::error_code& error) {
  return error == asio::error::eof ? kClosedByPeer : error.message();
}

/// What lives as long as any asynchronous operation does. After close() it calls nobody.
class TcpCore : public std::enable_shared_from_this<TcpCore> {
 public:
  TcpCore(AsioLoop& loop, tcp::socket socket, TcpOptions options)
      : loop_(loop),
        socket_(std::move(socket)),
        deadline_(loop.context()),
        options_(std::move(options)),
        reader_(options_.receive_memory) {}

  void set_handler(LinkHandler* handler) { handler_ = handler; }
  void expect(Speaker speaker, std::size_t frame_bytes_max) {
    speaker_ = speaker;
    reader_.set_frame_bytes_max(frame_bytes_max);
  }
  void leave_receive_bound() { reader_.leave_bound(); }
  void hold(std::shared_ptr<void> place) { place_ = std::move(place); }
  [[nodiscard]] std::size_t queued_bytes() const { return queued_bytes_ - written_; }
  [[nodiscard]] std::uint64_t left_bytes() const { return left_bytes_; }
  [[nodiscard]] std::size_t unacknowledged_bytes() {
    int bytes = 0;
    const bool known =
        connected_ && !closed_ && ::ioctl(socket_.native_handle(), SIOCOUTQ, &bytes) == 0;
    return known && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
  }
  [[nodiscard]] std::size_t receiving_bytes() const {
    return reader_.within_frame() ? received_bytes_ : 0;
  }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool closing() const { return closing_; }

  void connect(const Address& address, Resolver& resolver) {
    name_ = to_string(address);
    deadline_.expires_after(options_.connect_timeout);
    deadline_.async_wait([self = shared_from_this()](asio::error_code error) {
      if (error || self->connected_) return;
      self->fail(self->connector_ ? "no connection within the time-out"
                                  : "the host name cannot be resolved: no answer in time");
    });
    resolver.resolve(address, [weak = weak_from_this()](std::vector<tcp::endpoint> found,
                                                        const std::string& failure) {
      const auto self = weak.lock();
      if (!self || self->closed_) return;
      if (found.empty()) return self->fail("the host name cannot be resolved: " + failure);
      self->connect_to(std::move(found));
    });
  }

  void start() {
    asio::error_code ignored;
    if (name_.empty()) {
      const auto remote = socket_.remote_endpoint(ignored);
      name_ = to_string(Address{remote.address().to_string(), remote.port()});
    }
    socket_.set_option(tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);  // For flush().
    const auto timeout_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(options_.unacknowledged_timeout);
    socket_.set_option(UserTimeout(static_cast<int>(timeout_ms.count())), ignored);
    socket_.set_option(asio::socket_base::keep_alive(true), ignored);
    connected_ = true;
    deadline_.cancel();
    read();
    write();
  }

  bool send(const Message& message) {
    if (closed_ || closing_) return false;
    OutFrame frame = encode(message);
    const std::size_t bytes = frame.bytes();
    if (queued_bytes_ != 0 && queued_bytes_ + bytes > options_.queue_bytes_max) {
      refused_ = true;
      return false;
    }
    queued_bytes_ += bytes;
    queue_.push_back(std::move(frame));
    // Everything sent within one turn of the loop leaves in one write.
    if (!write_posted_ && !writing_ && connected_) {
      write_posted_ = true;
      asio::post(loop_.context(), [self = shared_from_this()] {
        self->write_posted_ = false;
        self->write();
        self->tell_writable();  // Everything may have left with a flush.
      });
    }
    return true;
  }

  void flush() {
    if (writing_ || closed_ || closing_ || queue_.empty() || !connected_) return;
    gather_all();
    asio::error_code error;  // Comes again with the next write, if it lasts.
    on_left(socket_.write_some(View{&gather_}, error));
  }

  void close() {
    handler_ = nullptr;
    if (closed_) return;
    closed_ = true;
    asio::error_code ignored;
    socket_.close(ignored);
    place_.reset();
    deadline_.cancel();
    if (const auto connector = std::exchange(connector_, nullptr)) connector->cancel();
    queue_.clear();
    queued_bytes_ = written_ = 0;
    if (!reading_) reader_.discard();  // Otherwise when that has ended: it writes into the buffer.
    if (waits_) options_.receive_memory->let_others();
  }

  void close_gently() {
    handler_ = nullptr;
    closing_ = true;
    if (closed_) return;
    if (!connected_) return close();
    deadline_.expires_after(std::chrono::seconds(1));
    deadline_.async_wait([self = shared_from_this()](asio::error_code error) {
      if (!error) self->close();
    });
    if (queue_.empty()) end_output();
  }

 private:
  /// Says that no more comes, and waits for the other side to close: closing with unread input
  /// would take back what was sent last.
  void end_output() {
    asio::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }

  void connect_to(std::vector<tcp::endpoint> endpoints) {
    connector_ = Connector::start(
        loop_.context(), std::move(endpoints),
        std::chrono::duration_cast<std::chrono::microseconds>(options_.connect_timeout),
        [self = shared_from_this()](asio::error_code error, tcp::socket socket) {
          if (self->closed_) return;
          if (error) return self->fail("no connection: " + error.message());
          self->socket_ = std::move(socket);
          self->watch();
          self->start();
        });
  }

  /// Also while nothing is sent, the side that has dialled learns that the other side is gone. Half
  /// of the time-out is left for asking: one question that is lost must not end the connection.
  void watch() {
    asio::error_code ignored;
    const auto idle = std::chrono::ceil<std::chrono::seconds>(options_.unacknowledged_timeout / 2);
    socket_.set_option(KeepAliveIdle(static_cast<int>(idle.count())), ignored);
    socket_.set_option(KeepAliveInterval(1), ignored);
  }

  void fail(const std::string& reason) {
    LinkHandler* handler = std::exchange(handler_, nullptr);
    close();
    if (handler != nullptr) handler->on_closed(reason);
  }

  /// As fail(), and the other side hears why, if it has dialled and reads what it gets.
  void refuse(const std::string& reason) {
    const bool dialled_here = speaker_ == Speaker::server || speaker_ == Speaker::listening;
    if (dialled_here || queued_bytes() > kHelloBytesMax) return fail(reason);
    LinkHandler* handler = std::exchange(handler_, nullptr);
    send(Refused{reason});
    close_gently();
    if (handler != nullptr) handler->on_closed(reason);
  }

  void read() {
    if (closed_) return;
    const auto space = reader_.space();
    waits_ = space.empty();
    guard_frame(!waits_ && reader_.holds_memory());
    if (waits_) {
      options_.receive_memory->wait([weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->read();
      });
      return;
    }
    reading_ = true;
    socket_.async_read_some(asio::buffer(space.data(), space.size()),
                            [self = shared_from_this()](asio::error_code error, std::size_t bytes) {
                              self->reading_ = false;
                              if (self->closed_) return self->reader_.discard();
                              if (error) return self->fail(describe(error));
                              self->reader_.filled(bytes);
                              self->received_bytes_ += bytes;
                              if (self->deliver()) self->read();
                            });
  }

  /// A peer that stops in the middle of a frame must not keep the memory that others wait for, nor
  /// take for ever. Who waits for memory is not read from, and has not stopped.
  void guard_frame(bool holds) {
    if (holds) heard_at_ = std::chrono::steady_clock::now();
    if (holds && !frame_guarded_) frame_began_at_ = heard_at_;
    frame_guarded_ = holds;
    if (frame_guarded_ && !guard_armed_ && !closing_) look_at_frame_at(heard_at_);
  }

  void look_at_frame_at(std::chrono::steady_clock::time_point from) {
    guard_armed_ = true;
    deadline_.expires_at(from + options_.frame_timeout);
    deadline_.async_wait([self = shared_from_this()](asio::error_code error) {
      self->guard_armed_ = false;
      if (!error && self->frame_guarded_ && !self->closing_ && !self->closed_) {
        self->look_at_frame();
      }
    });
  }

  void look_at_frame() {
    const auto now = std::chrono::steady_clock::now();
    if (now - heard_at_ >= options_.frame_timeout) {
      return fail("it stopped in the middle of a frame");
    }
    const auto allowed = options_.frame_timeout + reader_.frame_bytes() * kPerByteMax;
    if (options_.receive_memory->awaited() && now - frame_began_at_ >= allowed) {
      return fail("it takes too long for a frame whose memory others wait for");
    }
    look_at_frame_at(heard_at_);
  }

  /// False if the link died or was closed on the way.
  bool deliver() {
    while (handler_ != nullptr) {
      auto frame = reader_.next();
      if (!frame) {
        refuse(frame.error().detail);
        break;
      }
      if (!*frame) return true;
      auto message = decode(**frame, speaker_);
      if (!message) {
        refuse(message.error().detail);
        break;
      }
      frame->reset();  // The message holds what it needs of the buffer.
      received_bytes_ = 0;
      frame_guarded_ = false;
      handler_->on_message(*std::move(message));
    }
    reader_.discard();  // Closing gently: what comes now is for nobody.
    return !closed_;
  }

  void gather_all() {
    gather_.clear();
    for (const OutFrame& frame : queue_) {
      if (gather_.size() + 2 > kGatherMax) break;
      gather(frame);
    }
    skip(written_);
  }

  void write() {
    if (writing_ || closed_ || queue_.empty() || !connected_) return;
    gather_all();
    writing_ = true;
    socket_.async_write_some(
        View{&gather_}, [self = shared_from_this()](asio::error_code error, std::size_t bytes) {
          self->writing_ = false;
          if (self->closed_) return;
          if (error) return self->fail(describe(error));
          self->on_written(bytes);
        });
  }

  /// All buffers of a frame; a frame with more parts than one call takes is cut, and goes on from
  /// there with the next call.
  void gather(const OutFrame& frame) {
    gather_.emplace_back(frame.head.data(), frame.head.size());
    for (const Slice& part : frame.body) {
      gather_.emplace_back(part.bytes.data(), part.bytes.size());
    }
    const std::size_t padding = FramePrefix::padded(frame.body_bytes) - frame.body_bytes;
    if (padding != 0) gather_.emplace_back(kPadding.data(), padding);
  }

  /// Leaves out what an earlier call has written of the first frame.
  void skip(std::size_t bytes) {
    std::size_t first = 0;
    while (bytes >= gather_[first].size() && bytes != 0) bytes -= gather_[first++].size();
    gather_[first] += bytes;
    gather_.erase(gather_.begin(), gather_.begin() + static_cast<std::ptrdiff_t>(first));
  }

  void on_left(std::size_t bytes) {
    left_bytes_ += bytes;
    written_ += bytes;
    while (!queue_.empty() && written_ >= queue_.front().bytes()) {
      written_ -= queue_.front().bytes();
      queued_bytes_ -= queue_.front().bytes();
      queue_.pop_front();
    }
  }

  void on_written(std::size_t bytes) {
    on_left(bytes);
    if (queue_.empty() && closing_) return end_output();
    write();
    tell_writable();
  }

  void tell_writable() {
    if (!refused_ || queued_bytes_ >= options_.queue_bytes_max / 2 || handler_ == nullptr) return;
    refused_ = false;
    handler_->on_writable();
  }

  /// A view, so that Asio does not copy the vector.
  struct View {
    using value_type = asio::const_buffer;
    using const_iterator = const asio::const_buffer*;
    const std::vector<asio::const_buffer>* buffers;
    [[nodiscard]] const_iterator begin() const { return buffers->data(); }
    [[nodiscard]] const_iterator end() const { return buffers->data() + buffers->size(); }
  };

  AsioLoop& loop_;
  tcp::socket socket_;
  asio::steady_timer deadline_;
  std::shared_ptr<Connector> connector_;  // Under way, or done.
  std::shared_ptr<void> place_;           // Among those that a listener takes.
  TcpOptions options_;
  Speaker speaker_ = Speaker::stranger;
  LinkHandler* handler_ = nullptr;
  std::string name_;
  bool connected_ = false;
  bool closing_ = false;
  bool closed_ = false;

  ReadBuffer reader_;
  std::size_t received_bytes_ = 0;  // Since the last complete frame.
  bool reading_ = false;            // A read into it is under way,
  bool waits_ = false;              // or it waits for memory.
  bool frame_guarded_ = false;      // It holds memory for a frame,
  std::chrono::steady_clock::time_point frame_began_at_{};
  std::chrono::steady_clock::time_point heard_at_{};
  bool guard_armed_ = false;  // and the deadline is when to look at it.

  std::deque<OutFrame> queue_;
  std::size_t queued_bytes_ = 0;
  std::uint64_t left_bytes_ = 0;
  std::size_t written_ = 0;  // Of the first frame in the queue.
  std::vector<asio::const_buffer> gather_;
  bool writing_ = false;
  bool write_posted_ = false;
  bool refused_ = false;
};

class TcpLink final : public Link {
 public:
  explicit TcpLink(std::shared_ptr<TcpCore> core) : core_(std::move(core)) {}
  ~TcpLink() override {
    if (!core_->closing()) core_->close();
  }
  TcpLink(const TcpLink&) = delete;
  TcpLink& operator=(const TcpLink&) = delete;

  void start(LinkHandler& handler) override {
    core_->set_handler(&handler);
    if (!core_->connected()) core_->start();
  }
  bool send(const Message& message) override { return core_->send(message); }
  void flush() override { core_->flush(); }
  [[nodiscard]] std::size_t queued_bytes() const override { return core_->queued_bytes(); }
  [[nodiscard]] std::size_t receiving_bytes() const override { return core_->receiving_bytes(); }
  [[nodiscard]] std::size_t unacknowledged_bytes() const override {
    return core_->unacknowledged_bytes();
  }
  [[nodiscard]] std::uint64_t left_bytes() const override { return core_->left_bytes(); }
  void close_gently() override { core_->close_gently(); }
  void expect(Speaker speaker, std::size_t frame_bytes_max) override {
    core_->expect(speaker, frame_bytes_max);
  }
  void leave_receive_bound() override { core_->leave_receive_bound(); }
  [[nodiscard]] std::string peer_name() const override { return core_->name(); }

 private:
  std::shared_ptr<TcpCore> core_;
};

}  // namespace

std::unique_ptr<Link> accepted_link(AsioLoop& loop, tcp::socket socket, const TcpOptions& options,
                                    std::shared_ptr<void> place) {
  auto core = std::make_shared<TcpCore>(loop, std::move(socket), options);
  core->hold(std::move(place));
  return std::make_unique<TcpLink>(std::move(core));
}

std::unique_ptr<Link> TcpDialer::dial(const Address& address, LinkHandler& handler) {
  auto core = std::make_shared<TcpCore>(loop_, tcp::socket(loop_.context()), options_);
  core->set_handler(&handler);
  core->connect(address, resolver_);
  return std::make_unique<TcpLink>(std::move(core));
}

}  // namespace stele::net

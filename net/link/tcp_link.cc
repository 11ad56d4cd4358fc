#include "net/link/tcp_link.h"

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <utility>

#include "net/link/byte_stream.h"
#include "net/link/connector.h"
#include "net/link/frame_watch.h"
#include "net/link/read_buffer.h"
#include "net/link/write_queue.h"
#include "net/wire/codec.h"
#include "net/wire/frame.h"

namespace stele::net {
namespace {

using asio::ip::tcp;

/// So long it may take to send what is queued and to see the other side close, after which the
/// connection ends.
constexpr std::chrono::seconds kCloseWithin{1};

std::string describe(const asio::error_code& error) {
  return error == asio::error::eof ? kClosedByPeer : error.message();
}

/// The part of a link that lives as long as an asynchronous operation of it. After close() it calls
/// nobody.
class TcpCore : public std::enable_shared_from_this<TcpCore> {
  /// A handler of Asio's, within the guard; it keeps this object.
  template <class Act>
  auto guarded(Act act) {
    return [self = shared_from_this(), act = std::move(act)](auto... result) {
      if (self->guard_->ended()) return self->close();
      self->guard_->run([&] { act(result...); });
    };
  }

 public:
  TcpCore(AsioLoop& loop, tcp::socket socket, TcpOptions options)
      : context_(loop.context()),
        guard_(loop.guard()),
        stream_(std::move(socket)),
        deadline_(context_),
        options_(std::move(options)),
        reader_(options_.receive_memory),
        watch_(options_.frame_timeout),
        queue_(options_.queue_bytes_max) {}

  void set_handler(LinkHandler* handler) { handler_ = handler; }
  void expect(Speaker speaker, std::size_t frame_bytes_max) {
    speaker_ = speaker;
    reader_.set_frame_bytes_max(frame_bytes_max);
  }
  void leave_receive_bound() { reader_.leave_bound(); }
  void hold(std::shared_ptr<void> place) { place_ = std::move(place); }
  [[nodiscard]] std::size_t queued_bytes() const { return queue_.queued_bytes(); }
  [[nodiscard]] std::uint64_t left_bytes() const { return queue_.left_bytes(); }
  [[nodiscard]] std::size_t unacknowledged_bytes() {
    return connected_ && !closed_ ? stream_.unacknowledged_bytes() : 0;
  }
  [[nodiscard]] std::size_t receiving_bytes() const {
    return reader_.within_frame() ? received_bytes_ : 0;
  }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool closing() const { return closing_; }

  // --- Its life ------------------------------------------------------------------------

  void connect(const Address& address, Resolver& resolver) {
    name_ = to_string(address);
    deadline_.expires_after(options_.connect_timeout);
    deadline_.async_wait(guarded([this](asio::error_code error) {
      if (error || connected_) return;
      fail(connector_ ? "no connection within the time-out"
                      : "the host name cannot be resolved: no answer in time");
    }));
    resolver.resolve(address, [weak = weak_from_this()](std::vector<tcp::endpoint> found,
                                                        const std::string& failure) {
      if (const auto self = weak.lock())
        self->guard_->run([&] { self->on_resolved(std::move(found), failure); });
    });
  }

  void start() {
    if (name_.empty()) name_ = stream_.remote_name();
    stream_.open(options_);
    connected_ = true;
    deadline_.cancel();
    read();
    write();
  }

  void close() {
    handler_ = nullptr;
    if (closed_) return;
    closed_ = true;
    stream_.close();
    place_.reset();
    deadline_.cancel();
    if (const auto connector = std::exchange(connector_, nullptr)) connector->cancel();
    queue_.clear();
    if (!reading_) reader_.discard();  // Otherwise when that has ended: it writes into the buffer.
    if (waits_) options_.receive_memory->let_others();
  }

  void close_gently() {
    handler_ = nullptr;
    closing_ = true;
    if (closed_) return;
    if (!connected_) return close();
    deadline_.expires_after(kCloseWithin);
    deadline_.async_wait(guarded([this](asio::error_code error) {
      if (!error) close();
    }));
    if (queue_.empty()) stream_.end_output();
  }

  // --- Sending -------------------------------------------------------------------------

  bool send(const Message& message) {
    if (closed_ || closing_ || !queue_.push(encode(message))) return false;
    // Everything sent within one turn of the loop leaves in one write.
    if (!write_posted_ && !writing_ && connected_) {
      write_posted_ = true;
      asio::post(context_, guarded([this] {
                   write_posted_ = false;
                   write();
                   tell_writable();  // Everything may have left with a flush.
                 }));
    }
    return true;
  }

  void flush() {
    if (writing_ || closed_ || closing_ || queue_.empty() || !connected_) return;
    queue_.on_left(stream_.write_now(queue_.gather()));
  }

 private:
  void on_resolved(std::vector<tcp::endpoint> found, const std::string& failure) {
    if (closed_) return;
    if (found.empty()) return fail("the host name cannot be resolved: " + failure);
    connector_ = Connector::start(
        context_, std::move(found),
        std::chrono::duration_cast<std::chrono::microseconds>(options_.connect_timeout),
        [self = shared_from_this()](asio::error_code error, tcp::socket socket) {
          self->guard_->run([&] { self->on_connected(error, std::move(socket)); });
        });
  }

  void on_connected(asio::error_code error, tcp::socket socket) {
    if (closed_) return;
    if (error) return fail("no connection: " + error.message());
    stream_.replace(std::move(socket));
    stream_.watch(options_);  // The side that has dialled asks.
    start();
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

  // --- Receiving -----------------------------------------------------------------------

  void read() {
    if (closed_) return;
    const auto space = reader_.space();
    waits_ = space.empty();
    const bool holds = !waits_ && reader_.holds_memory();
    watch_.on_read(holds, holds ? std::chrono::steady_clock::now() : FrameWatch::Time{});
    if (watch_.holds() && !watch_armed_ && !closing_) look_at_frame_later();
    if (waits_) {
      options_.receive_memory->wait([weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->guard_->run([&] { self->read(); });
      });
      return;
    }
    reading_ = true;
    stream_.read_some(space, guarded([this](asio::error_code error, std::size_t bytes) {
                        on_read(error, bytes);
                      }));
  }

  void on_read(asio::error_code error, std::size_t bytes) {
    reading_ = false;
    if (closed_) return reader_.discard();
    if (error) return fail(describe(error));
    reader_.filled(bytes);
    received_bytes_ += bytes;
    if (deliver()) read();
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
      watch_.on_frame();
      handler_->on_message(*std::move(message));
    }
    reader_.discard();  // Closing gently: what comes now is for nobody.
    return !closed_;
  }

  void look_at_frame_later() {
    watch_armed_ = true;
    deadline_.expires_at(watch_.due());
    deadline_.async_wait(guarded([this](asio::error_code error) {
      watch_armed_ = false;
      if (!error && watch_.holds() && !closing_ && !closed_) look_at_frame();
    }));
  }

  void look_at_frame() {
    const char* const why =
        watch_.verdict(std::chrono::steady_clock::now(), options_.receive_memory->awaited(),
                       reader_.frame_bytes());
    if (why != nullptr) return fail(why);
    look_at_frame_later();
  }

  // --- Writing -------------------------------------------------------------------------

  void write() {
    if (writing_ || closed_ || queue_.empty() || !connected_) return;
    writing_ = true;
    stream_.write_some(queue_.gather(), guarded([this](asio::error_code error, std::size_t bytes) {
                         writing_ = false;
                         if (closed_) return;
                         if (error) return fail(describe(error));
                         on_written(bytes);
                       }));
  }

  void on_written(std::size_t bytes) {
    queue_.on_left(bytes);
    if (queue_.empty() && closing_) return stream_.end_output();
    write();
    tell_writable();
  }

  void tell_writable() {
    if (handler_ != nullptr && queue_.take_drained()) handler_->on_writable();
  }

  asio::io_context& context_;
  std::shared_ptr<Guard> guard_;
  ByteStream stream_;
  asio::steady_timer deadline_;           // Of connecting, of a frame, or of closing.
  std::shared_ptr<Connector> connector_;  // Under way, or done.
  std::shared_ptr<void> place_;           // Its place among the connections that a listener takes.
  TcpOptions options_;
  Speaker speaker_ = Speaker::stranger;
  LinkHandler* handler_ = nullptr;
  std::string name_;
  bool connected_ = false;
  bool closing_ = false;
  bool closed_ = false;

  ReadBuffer reader_;
  std::size_t received_bytes_ = 0;  // Since the last complete frame.
  bool reading_ = false;            // A read into the buffer is under way.
  bool waits_ = false;              // It waits for memory.
  FrameWatch watch_;
  bool watch_armed_ = false;  // The deadline is when to look at the frame.

  WriteQueue queue_;
  bool writing_ = false;
  bool write_posted_ = false;
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

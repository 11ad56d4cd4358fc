// etcd: one Put of a new key per append, sent to the leader as gRPC over HTTP/2.

#include <nghttp2/nghttp2.h>

#include <array>
#include <asio/connect.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <cstring>
#include <map>
#include <stdexcept>

#include "bench/cluster/cluster.h"
#include "bench/peers/peer.h"

namespace stele::bench {
namespace {

using asio::ip::tcp;

void add_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<char>(value | 0x80));
  to.push_back(static_cast<char>(value));
}

/// A field of Protocol Buffers that holds bytes.
void add_field(std::string& to, int field, std::string_view bytes) {
  add_varint(to, static_cast<std::uint64_t>(field) << 3 | 2);
  add_varint(to, bytes.size());
  to += bytes;
}

/// A message as gRPC frames it: not compressed, its length, itself.
std::string grpc_frame(const std::string& message) {
  std::string frame(5, '\0');
  for (std::size_t i = 0; i < 4; ++i) {
    frame[4 - i] = static_cast<char>(message.size() >> (8 * i));
  }
  return frame + message;
}

/// One HTTP/2 connection that makes gRPC calls with one message each way.
class GrpcConnection {
 public:
  using Done = std::function<void(bool ok, const std::string& reply)>;

  GrpcConnection(asio::io_context& context, std::uint16_t port)
      : socket_(context), authority_("127.0.0.1:" + std::to_string(port)) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    socket_.set_option(tcp::no_delay(true));
    nghttp2_session_callbacks* callbacks = nullptr;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    const int made = nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    if (made != 0) throw std::bad_alloc();
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
    flush();
    read();
  }
  ~GrpcConnection() { nghttp2_session_del(session_); }
  GrpcConnection(const GrpcConnection&) = delete;
  GrpcConnection& operator=(const GrpcConnection&) = delete;

  /// `done` is called later, never from here.
  void call(const std::string& method, const std::string& message, Done done) {
    auto stream = std::make_unique<Stream>();
    stream->body = grpc_frame(message);
    stream->done = std::move(done);
    const std::array<nghttp2_nv, 6> headers{header(":method", "POST"),
                                            header(":scheme", "http"),
                                            header(":path", method),
                                            header(":authority", authority_),
                                            header("content-type", "application/grpc"),
                                            header("te", "trailers")};
    nghttp2_data_provider provider{};
    provider.source.ptr = stream.get();
    provider.read_callback = read_body;
    const std::int32_t id = nghttp2_submit_request(session_, nullptr, headers.data(),
                                                   headers.size(), &provider, stream.get());
    if (id < 0) throw std::runtime_error(nghttp2_strerror(id));
    streams_[id] = std::move(stream);
    if (flush_posted_) return;
    flush_posted_ = true;
    asio::post(socket_.get_executor(), [this] {
      flush_posted_ = false;
      flush();
    });
  }
  void close() {
    asio::error_code ignored;
    socket_.close(ignored);
  }

 private:
  struct Stream {
    std::string body;
    std::size_t sent = 0;
    std::string reply;
    bool ok = false;
    Done done;
  };

  static nghttp2_nv header(std::string_view name, std::string_view value) {
    const auto bytes = [](std::string_view text) {
      return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  }
  static ssize_t read_body(nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& stream = *static_cast<Stream*>(source->ptr);
    const std::size_t bytes = std::min(room, stream.body.size() - stream.sent);
    std::memcpy(to, stream.body.data() + stream.sent, bytes);
    stream.sent += bytes;
    if (stream.sent == stream.body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(bytes);
  }
  static int on_header(nghttp2_session* session, const nghttp2_frame* frame,
                       const std::uint8_t* name, std::size_t name_bytes, const std::uint8_t* value,
                       std::size_t value_bytes, std::uint8_t, void*) {
    const std::string_view key(reinterpret_cast<const char*>(name), name_bytes);
    if (key != "grpc-status") return 0;
    auto* stream =
        static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
    if (stream != nullptr) stream->ok = value_bytes == 1 && *value == '0';
    return 0;
  }
  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id,
                     const std::uint8_t* data, std::size_t bytes, void*) {
    auto* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
    if (stream != nullptr) stream->reply.append(reinterpret_cast<const char*>(data), bytes);
    return 0;
  }
  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t error, void* self) {
    auto& streams = static_cast<GrpcConnection*>(self)->streams_;
    const auto found = streams.find(id);
    if (found == streams.end()) return 0;
    const auto stream = std::move(found->second);
    streams.erase(found);
    stream->done(error == NGHTTP2_NO_ERROR && stream->ok, stream->reply);
    return 0;
  }

  void read() {
    if (!socket_.is_open()) return;
    socket_.async_read_some(asio::buffer(in_), [this](asio::error_code error, std::size_t bytes) {
      if (!socket_.is_open()) return;
      if (error || nghttp2_session_mem_recv(session_, in_.data(), bytes) < 0) {
        throw std::runtime_error("etcd has closed the connection");
      }
      flush();
      read();
    });
  }
  void flush() {
    if (writing_ || !socket_.is_open()) return;
    out_.clear();
    const std::uint8_t* bytes = nullptr;
    ssize_t count = 0;
    while ((count = nghttp2_session_mem_send(session_, &bytes)) > 0) {
      out_.insert(out_.end(), bytes, bytes + count);
    }
    if (out_.empty()) return;
    writing_ = true;
    asio::async_write(socket_, asio::buffer(out_), [this](asio::error_code error, std::size_t) {
      writing_ = false;
      if (!error) flush();
    });
  }

  tcp::socket socket_;
  std::string authority_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, std::unique_ptr<Stream>> streams_;
  std::array<std::uint8_t, 1 << 16> in_{};
  std::vector<std::uint8_t> out_;
  bool writing_ = false;
  bool flush_posted_ = false;
};

class EtcdTarget final : public Target {
 public:
  EtcdTarget(asio::io_context& context, std::uint16_t port, std::size_t connections,
             std::uint64_t& keys)
      : keys_(keys) {
    for (std::size_t i = 0; i < connections; ++i) {
      connections_.push_back(std::make_unique<GrpcConnection>(context, port));
    }
  }

  void append(std::uint64_t id, std::span<const std::byte> payload) override {
    std::string put;
    std::string key = std::to_string(++keys_);
    key.insert(0, 12 - std::min<std::size_t>(key.size(), 12), '0');
    add_field(put, 1, key);
    add_field(put, 2, {reinterpret_cast<const char*>(payload.data()), payload.size()});
    next_ = next_ + 1 == connections_.size() ? 0 : next_ + 1;
    connections_[next_]->call("/etcdserverpb.KV/Put", put,
                              [this, id](bool ok, const std::string&) { tell(id, ok); });
  }
  void close() override {
    for (auto& connection : connections_) connection->close();
  }

 private:
  std::uint64_t& keys_;
  std::vector<std::unique_ptr<GrpcConnection>> connections_;
  std::size_t next_ = 0;
};

/// The values of a message's fields that are numbers, and its fields that are bytes.
struct Fields {
  std::map<std::uint64_t, std::uint64_t> numbers;
  std::map<std::uint64_t, std::string> bytes;
};
Fields fields_of(std::string_view message) {
  Fields fields;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (unsigned shift = 0; at < message.size(); shift += 7) {
      const auto byte = static_cast<std::uint8_t>(message[at++]);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < message.size()) {
    const std::uint64_t key = varint();
    const std::uint64_t value = varint();
    if ((key & 7) == 0) fields.numbers[key >> 3] = value;
    if ((key & 7) == 2) {
      fields.bytes[key >> 3] = std::string(message.substr(at, value));
      at += value;
    }
  }
  return fields;
}

class Etcd final : public PeerSubject {
 public:
  explicit Etcd(const std::string& directory) : PeerSubject(directory) {
    const test::Ports ports(2 * kNodes);
    const auto url = [&](std::size_t port) {
      return "http://127.0.0.1:" + std::to_string(ports[port]);
    };
    std::string cluster;
    for (std::size_t i = 0; i < kNodes; ++i) {
      cluster += (i == 0 ? "" : ",") + ("n" + std::to_string(i)) + "=" + url(kNodes + i);
    }
    for (std::size_t i = 0; i < kNodes; ++i) {
      start(i, {installed("etcd"),
                "--name",
                "n" + std::to_string(i),
                "--data-dir",
                node_directory(i),
                "--listen-client-urls",
                url(i),
                "--advertise-client-urls",
                url(i),
                "--listen-peer-urls",
                url(kNodes + i),
                "--initial-advertise-peer-urls",
                url(kNodes + i),
                "--initial-cluster",
                cluster,
                "--initial-cluster-state",
                "new",
                "--quota-backend-bytes",
                std::to_string(8ULL << 30),
                "--logger",
                "zap",
                "--log-level",
                "error"});
    }
    await("etcd has no leader", [&] {
      for (std::size_t i = 0; i < kNodes && leader_ == 0; ++i) {
        if (leads(ports[i])) leader_ = ports[i];
      }
      return leader_ != 0;
    });
  }

  std::unique_ptr<Target> target(asio::io_context& context, std::size_t,
                                 std::size_t connections) override {
    return std::make_unique<EtcdTarget>(context, leader_, connections, keys_);
  }

 private:
  /// Whether this one answers that it is the leader.
  static bool leads(std::uint16_t port) {
    try {
      asio::io_context context(1);
      GrpcConnection connection(context, port);
      bool mine = false;
      connection.call("/etcdserverpb.Maintenance/Status", "",
                      [&](bool ok, const std::string& reply) {
                        if (ok && reply.size() > 5) {
                          // StatusResponse: 1 is the header, of which 2 is the member; 4 the
                          // leader.
                          const Fields status = fields_of(std::string_view(reply).substr(5));
                          const auto header = status.bytes.find(1);
                          const auto leader = status.numbers.find(4);
                          mine = header != status.bytes.end() && leader != status.numbers.end() &&
                                 fields_of(header->second).numbers[2] == leader->second;
                        }
                        connection.close();
                      });
      context.run();
      return mine;
    } catch (const std::exception&) {
      return false;  // Not up yet.
    }
  }

  std::uint16_t leader_ = 0;
  std::uint64_t keys_ = 0;
};

}  // namespace

std::unique_ptr<Subject> start_etcd(const std::string& directory) {
  return std::make_unique<Etcd>(directory);
}

}  // namespace stele::bench

// A program of somebody who has nothing but the installed client library.
#include <stele/client.h>

#include <chrono>
#include <cstdio>
#include <span>
#include <string>

// Appends its second argument to the cluster at its first one, and reads the log.
int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto address = stele::parse_address(argv[1]);
  if (!address) {
    std::fprintf(stderr, "%s\n", address.error().detail.c_str());
    return 2;
  }
  stele::ClientOptions options;
  options.addresses = {*address};
  stele::BlockingClient client(std::move(options));
  const std::string text = argv[2];
  const auto lsn = client.append(std::as_bytes(std::span(text)), std::chrono::seconds(60));
  if (!lsn) {
    std::fprintf(stderr, "%s: %s\n", std::string(to_string(lsn.error().code)).c_str(),
                 lsn.error().detail.c_str());
    return 1;
  }
  const auto read = client.read({.lsn_begin = *lsn});
  if (!read || read->entries.size() != 1) return 1;
  const auto payload = read->entries[0].payload;
  std::printf("%llu %.*s\n", static_cast<unsigned long long>(lsn->value),
              static_cast<int>(payload.size()), reinterpret_cast<const char*>(payload.data()));
  return 0;
}

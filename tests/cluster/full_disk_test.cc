// A disk that others fill, to the last byte: a file system of its own, which only the test's
// processes see.

#include <doctest/doctest.h>

#include "bench/cluster/cluster.h"

namespace stele::test {
namespace {

/// Arguments: where to mount, the programs' directory, the port.
constexpr const char* kScript = R"sh(
set -u
exec 2> "$1.stderr"
mount -t tmpfs -o size=100m tmpfs "$1" || { echo "cannot mount"; exit 0; }
start() {
  "$2/steled" --id 1 --cluster "1=127.0.0.1:$3" --data "$1/data" --disk-reserve-bytes 33554432 \
    >> "$1.log" 2>&1 &
  node=$!
}
stele() { timeout 60 "$2/stele" "$4" --cluster "127.0.0.1:$3" "${@:5}"; }
fill() { cat /dev/zero > "$1/$4" 2> /dev/null || echo "full"; }
until_it_leads() { until stele "$@" status > /dev/null 2>&1; do kill -0 $node || exit 1; done; }

fill "$@" first
truncate -s -4096 "$1/first"
start "$@"
wait $node || echo "no first start"
rm "$1/first"
start "$@"
until_it_leads "$@"
seq 1 100 | stele "$@" append > /dev/null && echo "appended"
entry=$(printf '%01000d' 0)
yes "$entry" | stele "$@" append > /dev/null 2> "$1.err" &
appends=$!
fill "$@" first
wait $appends
grep -o "no_space" "$1.err" | head -n 1
kill -0 $node && echo "goes on"
kill -9 $node
wait $node 2> /dev/null
fill "$@" second
start "$@"
until_it_leads "$@"
echo "starts"
stele "$@" read --to 101 | tail -n 1
stele "$@" append refused 2>&1 | grep -o "no_space"
rm "$1/first" "$1/second"
until stele "$@" append again > /dev/null 2>&1; do kill -0 $node || exit 1; done
echo "takes more"
kill $node
wait $node && echo "ends"
grep -c "store_failed\|cannot_start" "$1.log"
)sh";

}  // namespace

TEST_SUITE("cluster.full_disk") {
  TEST_CASE("a node on a full disk does not start; one that runs there goes on, is killed, starts again, serves and goes on") {
    const TempDirectory directory;
    const std::string place = directory.path() + "/disk";
    const Ports ports(1);
    write_file(directory.path() + "/script", kScript);
    const std::string steled = program("steled");
    const Run ended = run({"/usr/bin/unshare", "-m", "/bin/sh", "-c",
                           "mkdir \"$2\" && exec bash \"$1\" \"$2\" \"$3\" \"$4\"", "sh",
                           directory.path() + "/script", place, steled.substr(0, steled.rfind('/')),
                           std::to_string(ports[0])});
    if (ended.out.find("cannot mount") != std::string::npos ||
        ended.out.find("unshare failed") != std::string::npos) {
      MESSAGE("no file system can be mounted here: not tested");
      return;
    }
    CHECK(ended.out ==
          "full\nno first start\nappended\nfull\nno_space\ngoes on\nfull\nstarts\n100\nno_space\n"
          "takes more\nends\n1\n");
    if (!ended.out.ends_with("ends\n1\n")) {
      MESSAGE(read_file(place + ".log"));
      MESSAGE(read_file(place + ".stderr"));
    }
  }
}

}  // namespace stele::test

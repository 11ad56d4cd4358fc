# Sourced by apps/quickstart and tests/run: installs what is missing, and builds.
# Debian 12 and later; as root, or with sudo.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

build_packages=(g++ cmake ninja-build pkg-config capnproto libcapnp-dev libasio-dev liblmdb-dev
  libspdlog-dev libcli11-dev libtomlplusplus-dev libexpected-dev libxxhash-dev nlohmann-json3-dev)

# Installs those of the named packages that are missing; no call of apt if none is.
ensure_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "these packages are missing: ${missing[*]}" >&2; return 1; }
    as_root=(sudo)
  fi
  echo "installing: ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      "${missing[@]}" </dev/null >/dev/null
}

# build PRESET TARGET…: configures if needed, builds quietly; shows the compiler's words only on failure.
build() {
  local preset=$1 log werror=OFF
  shift
  # GCC warns differently under the sanitizers, about code that is not ours.
  [ -n "${CI:-}" ] && [ "$preset" = release ] && werror=ON
  log=$(mktemp)
  if ! { (cd "$root" && cmake --preset "$preset" -DSTELE_WERROR=$werror) && cmake --build "$root/build/$preset" --target "$@"; } \
      >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "the build failed" >&2
    return 1
  fi
  rm -f "$log"
}

# free_ports N: ports on 127.0.0.1 that nobody listens on, below those that the system hands out.
free_ports() {
  local found=() port
  while [ ${#found[@]} -lt "$1" ]; do
    port=$((10000 + RANDOM % 20000))
    case " ${found[*]} " in *" $port "*) continue ;; esac
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || found+=("$port")
  done
  echo "${found[@]}"
}

// The entries that `stele append` is given, cut out of a stream as they come.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "paxos/base/result.h"

namespace stele::apps {

/// Reads a file descriptor and hands out entries: the bytes up to a separator, which is not part of
/// them. A last one without separator counts. Bytes are kept as they are. An entry that is longer
/// than any cluster's limit is an error, so that a file without separators is not read whole.
class EntrySource {
 public:
  /// Does not own the descriptor.
  EntrySource(int descriptor, char separator) : descriptor_(descriptor), separator_(separator) {}

  /// Blocks until there are entries; empty at the end. Errors: io, too_large.
  Result<std::vector<std::string>> next();

  static constexpr std::size_t kEntryBytesMax = 64 << 20;

 private:
  int descriptor_;
  char separator_;
  std::string partial_;
  bool ended_ = false;
};

}  // namespace stele::apps

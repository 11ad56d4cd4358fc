// Entries on standard output.
#pragma once

#include <string>

#include <stele/client_types.h>
#include "apps/common/text.h"
#include "apps/stele/cli.h"

namespace stele::apps {

/// Collects what is to be written and writes it at once. SIGPIPE ends the program, as it should.
class Output {
 public:
  Output(Format format, bool null_separated)
      : format_(format), separator_(null_separated ? '\0' : '\n') {}
  ~Output() { flush(); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void add(const Entry& entry);
  void add_line(const std::string& line);
  /// False if standard output cannot be written.
  bool flush();
  /// Standard output is a pipe or a connection whose other end is gone.
  [[nodiscard]] static bool has_no_reader();

 private:
  Format format_;
  char separator_;
  std::string buffer_;
};

}  // namespace stele::apps

// A child process under the test's control. Killed when it goes out of scope.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace stele::test {

/// Standard output and error go to a file; standard input is empty, or what is given.
class Process {
 public:
  Process() = default;
  /// Starts `arguments[0]`, a path.
  Process(const std::vector<std::string>& arguments, const std::string& output_path,
          const std::string& input_path = "/dev/null");
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;

  void signal(int number) const;
  /// Waits until it has ended: its exit code, or 128 + the signal's number.
  int wait();
  [[nodiscard]] bool running();
  [[nodiscard]] int pid() const { return pid_; }

 private:
  int pid_ = -1;
};

/// What a command printed, and how it ended.
struct Run {
  int exit_code;
  std::string out;  ///< Standard output and standard error together.
};
[[nodiscard]] Run run(const std::vector<std::string>& arguments, const std::string& input = {});

/// A directory that is removed with everything in it, also when this process is killed.
class TempDirectory {
 public:
  /// In the system's place for such, or in `parent`, which is made if need be.
  explicit TempDirectory(const std::string& parent = {});
  ~TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  int own_end_ = -1;    // Of a pipe to the remover, which acts when this end is closed.
  pid_t remover_ = -1;  // A process that removes the directory, also after this one was killed.
};

[[nodiscard]] std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& content);

}  // namespace stele::test

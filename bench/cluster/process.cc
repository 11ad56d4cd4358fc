#include "bench/cluster/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <utility>

namespace stele::test {
namespace {

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// In a forked process: nothing but system calls. Removes `path` when the other end of the pipe is
/// closed. Keeps nothing else open: a socket that its parent closes must be closed.
[[noreturn]] void remove_when_alone(int end, const char* path) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_IGN);
  if (::dup2(end, STDIN_FILENO) < 0 || ::close_range(STDERR_FILENO + 1, ~0U, 0) != 0) ::_exit(1);
  char none = 0;
  while (::read(STDIN_FILENO, &none, 1) < 0 && errno == EINTR) {
  }
  // Twice: the processes that write there end in the same moment.
  ::execl("/bin/sh", "sh", "-c", "rm -rf \"$0\" || rm -rf \"$0\"", path, nullptr);
  ::_exit(1);
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const std::string& output_path,
                 const std::string& input_path) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments)
    pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const int parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  if (pid_ != 0) return;
  // The child: nothing but system calls from here on.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::signal(SIGHUP, SIG_DFL);  // This process may have been started to outlive its terminal.
  const int in = ::open(input_path.c_str(), O_RDONLY);
  const int out = ::open(output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::execv(pointers[0], pointers.data());
  ::_exit(127);
}

Process::~Process() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::kill(pid_, SIGCONT);
  wait();
}

Process::Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}

void Process::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

int Process::wait() {
  if (pid_ <= 0) return -1;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return exit_code_of(status);
}

bool Process::running() {
  if (pid_ <= 0) return false;
  siginfo_t info{};
  const int failed = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
  return failed == 0 && info.si_pid == 0;
}

Run run(const std::vector<std::string>& arguments, const std::string& input) {
  const TempDirectory directory;
  const std::string in = directory.path() + "/in";
  const std::string out = directory.path() + "/out";
  write_file(in, input);
  Process process(arguments, out, in);
  const int exit_code = process.wait();
  return {exit_code, read_file(out)};
}

TempDirectory::TempDirectory(const std::string& parent) {
  namespace fs = std::filesystem;
  if (!parent.empty()) fs::create_directories(parent);
  const fs::path place = parent.empty() ? fs::temp_directory_path() : fs::path(parent);
  std::string pattern = (place / "stele-test.XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a directory");
  path_ = pattern;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  own_end_ = ends[1];
  remover_ = ::fork();
  if (remover_ < 0) throw std::runtime_error("cannot fork");
  if (remover_ == 0) remove_when_alone(ends[0], path_.c_str());
  ::close(ends[0]);
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  ::kill(remover_, SIGKILL);
  while (::waitpid(remover_, nullptr, 0) < 0 && errno == EINTR) {
  }
  ::close(own_end_);
}

std::string read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  std::string content;
  if (!file) return content;
  std::array<char, 4096> chunk{};
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    content.append(chunk.data(), count);
  }
  return content;
}

void write_file(const std::string& path, const std::string& content) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "wb"),
                                                             &std::fclose);
  if (!file || std::fwrite(content.data(), 1, content.size(), file.get()) != content.size()) {
    throw std::runtime_error("cannot write " + path);
  }
}

}  // namespace stele::test

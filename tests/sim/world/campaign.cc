#include "tests/sim/world/campaign.h"

#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iomanip>
#include <iostream>
#include <map>
#include <new>
#include <nlohmann/json.hpp>
#include <vector>

namespace stele::sim {
namespace {

using Wall = std::chrono::steady_clock;

constexpr std::size_t kFailuresMax = 64;
constexpr std::size_t kTextMax = 400;

/// What the worker processes share with the one that started them.
struct Shared {
  struct Failure {
    std::uint64_t seed;
    char invariant[16];
    char what[kTextMax];
  };
  struct Worker {
    std::atomic<std::uint64_t> seed;  // Under way; 0 if none.
    Coverage coverage;                // Its own, written when it ends or after each seed.
    std::uint64_t events;
    std::int64_t virtual_ns;
  };

  std::atomic<std::uint64_t> next;
  std::atomic<std::uint64_t> done;
  std::atomic<std::uint64_t> failed;
  std::atomic<bool> stop;
  Failure failures[kFailuresMax];
  Worker workers[256];
};

void copy(const std::string& text, char* target, std::size_t size) {
  std::strncpy(target, text.c_str(), size - 1);
}

void report(Shared& shared, std::uint64_t seed, const std::string& invariant,
            const std::string& what) {
  const std::uint64_t index = shared.failed++;
  if (index >= kFailuresMax) return;
  Shared::Failure& failure = shared.failures[index];
  copy(invariant, failure.invariant, sizeof failure.invariant);
  copy(what, failure.what, sizeof failure.what);
  failure.seed = seed;
}

/// A seed that runs for longer hangs. In real time it is given more: others may take the processor.
void limit(unsigned seconds) {
  const itimerval processor{{0, 0}, {static_cast<time_t>(seconds), 0}};
  ::setitimer(ITIMER_PROF, &processor, nullptr);
  ::alarm(10 * seconds);
}

void work(Shared& shared, Shared::Worker& worker, const Campaign& campaign,
          Wall::time_point deadline) {
  while (!shared.stop) {
    if (campaign.minutes > 0 && Wall::now() >= deadline) return;
    const std::uint64_t seed = shared.next++;
    if (seed > campaign.last) return;
    worker.seed = seed;
    limit(campaign.seed_seconds_max);
    const Plan plan = draw_plan(seed);
    const Verdict verdict = run(campaign.real_files ? over_real_files(plan) : plan);
    worker.coverage.add(verdict.coverage);
    worker.events += verdict.events;
    worker.virtual_ns += verdict.virtual_time.count();
    if (!verdict.passed()) {
      report(shared, seed, verdict.invariant, verdict.what);
      if (!campaign.keep_going) shared.stop = true;
    }
    ++shared.done;
    worker.seed = 0;
  }
}

std::string replay(std::uint64_t seed, bool real_files) {
  return "stele-sim --seed " + std::to_string(seed) + (real_files ? " --real-files" : "");
}

void print_text(std::ostream& out, const CampaignResult& totals) {
  for (const CampaignResult::Failure& failure : totals.failures) {
    out << "seed " << failure.seed << ": invariant " << failure.invariant << ": " << failure.what
        << "\n  replay: " << replay(failure.seed, totals.real_files) << "\n";
  }
  out << std::fixed << std::setprecision(1) << totals.seeds << " seeds in " << totals.seconds
      << " s: " << static_cast<double>(totals.seeds) / totals.seconds << " seeds/s, "
      << static_cast<double>(totals.events) / totals.seconds / 1000 << " thousand events/s, "
      << std::setprecision(3) << totals.virtual_hours / totals.seconds
      << " virtual hours per second\n";
  for (std::size_t i = 0; i < kPaths; ++i) {
    const auto path = static_cast<Path>(i);
    out << std::setw(12) << totals.coverage.of(path) << "  " << name_of(path) << "\n";
  }
}

void print_json(std::ostream& out, const CampaignResult& totals) {
  nlohmann::json json;
  json["seeds"] = totals.seeds;
  json["seconds"] = totals.seconds;
  json["events"] = totals.events;
  json["virtual_hours"] = totals.virtual_hours;
  json["failures"] = nlohmann::json::array();
  for (const CampaignResult::Failure& failure : totals.failures) {
    json["failures"].push_back({{"seed", failure.seed},
                                {"invariant", failure.invariant},
                                {"what", failure.what},
                                {"replay", replay(failure.seed, totals.real_files)}});
  }
  for (std::size_t i = 0; i < kPaths; ++i) {
    const auto path = static_cast<Path>(i);
    json["reached"][std::string(name_of(path))] = totals.coverage.of(path);
  }
  out << json.dump(2) << "\n";
}

void show_progress(const Shared& shared, const Campaign& campaign, Wall::time_point begin) {
  const double seconds = std::chrono::duration<double>(Wall::now() - begin).count();
  const std::uint64_t all = campaign.last - campaign.first + 1;
  std::cerr << "\r" << shared.done << " of " << all << " seeds, " << shared.failed << " failed, "
            << static_cast<std::uint64_t>(seconds) << " s   " << std::flush;
}

}  // namespace

void print_verdict(std::ostream& out, const std::string& name, const Verdict& verdict, bool json) {
  std::ostringstream hash;
  hash << std::hex << std::setw(16) << std::setfill('0') << verdict.trace_hash;
  const double virtual_s = std::chrono::duration<double>(verdict.virtual_time).count();
  if (json) {
    out << nlohmann::json{{"run", name},
                          {"passed", verdict.passed()},
                          {"invariant", verdict.invariant},
                          {"what", verdict.what},
                          {"events", verdict.events},
                          {"virtual_seconds", virtual_s},
                          {"trace_hash", hash.str()}}
               .dump(2)
        << "\n";
    return;
  }
  if (!verdict.passed()) {
    out << name << ": invariant " << verdict.invariant << ": " << verdict.what << "\n";
  }
  out << name << (verdict.passed() ? ": passed, " : ": FAILED, ") << verdict.events << " events, "
      << std::fixed << std::setprecision(1) << virtual_s << " virtual seconds, trace hash "
      << hash.str() << "\n";
}

namespace {

CampaignResult collect(const Shared& shared, const Campaign& campaign) {
  CampaignResult result;
  for (const Shared::Worker& worker : shared.workers) {
    result.coverage.add(worker.coverage);
    result.events += worker.events;
    result.virtual_hours += static_cast<double>(worker.virtual_ns) / 3.6e12;
  }
  result.real_files = campaign.real_files;
  result.failed = shared.failed;
  for (std::size_t i = 0; i < std::min<std::size_t>(shared.failed, kFailuresMax); ++i) {
    const Shared::Failure& failure = shared.failures[i];
    result.failures.push_back({failure.seed, failure.invariant, failure.what});
  }
  result.seeds = shared.done;
  return result;
}

}  // namespace

CampaignResult run_seeds(const Campaign& campaign) {
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::runtime_error("no memory for the jobs");
  }
  auto& shared = *new (memory) Shared{};
  shared.next = campaign.first;
  const auto begin = Wall::now();
  const auto deadline = begin + std::chrono::duration_cast<Wall::duration>(
                                    std::chrono::duration<double>(campaign.minutes * 60));
  std::map<pid_t, int> running;
  const auto start_worker = [&](int index) {
    std::cout.flush();
    const pid_t pid = ::fork();
    if (pid == 0) {
      work(shared, shared.workers[index], campaign, deadline);
      ::_exit(0);
    }
    if (pid < 0) throw std::runtime_error("cannot start a job");
    running[pid] = index;
  };
  sigset_t child_ended;
  sigemptyset(&child_ended);
  sigaddset(&child_ended, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child_ended, nullptr);
  for (int i = 0; i < campaign.jobs; ++i) start_worker(i);

  const bool progress = ::isatty(STDERR_FILENO) != 0;
  while (!running.empty()) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, progress ? WNOHANG : 0);
    if (pid > 0) {
      const int index = running[pid];
      running.erase(pid);
      Shared::Worker& worker = shared.workers[index];
      if (worker.seed == 0 && status == 0) continue;
      // It died in the midst of a seed: that is a finding, too.
      report(shared, worker.seed, "crash",
             "the simulation died of " +
                 (WIFSIGNALED(status) ? std::string(strsignal(WTERMSIG(status)))
                                      : "exit status " + std::to_string(WEXITSTATUS(status))));
      ++shared.done;
      worker.seed = 0;
      if (campaign.keep_going) start_worker(index);
    } else if (progress) {
      // Until one of them ends, or the progress line is due.
      const timespec half_a_second{0, 500'000'000};
      ::sigtimedwait(&child_ended, nullptr, &half_a_second);
      show_progress(shared, campaign, begin);
    }
  }
  if (progress) std::cerr << "\r\x1b[K";

  CampaignResult result = collect(shared, campaign);
  result.seconds = std::chrono::duration<double>(Wall::now() - begin).count();
  ::munmap(memory, sizeof(Shared));
  return result;
}

int run_campaign(const Campaign& campaign, std::ostream& out) {
  const CampaignResult totals = run_seeds(campaign);
  if (campaign.json) {
    print_json(out, totals);
  } else {
    print_text(out, totals);
  }
  const bool whole = campaign.minutes > 0 || totals.failed != 0 ||
                     totals.seeds == campaign.last - campaign.first + 1;
  if (!whole) std::cerr << "stele-sim: not all seeds were run\n";
  bool reached = true;
  if (totals.failed == 0 && !campaign.real_files && totals.seeds >= kStandardSeeds) {
    for (std::size_t i = 0; i < kPaths; ++i) {
      const auto path = static_cast<Path>(i);
      if (totals.coverage.of(path) != 0) continue;
      reached = false;
      std::cerr << "stele-sim: no run has reached '" << name_of(path) << "'\n";
    }
  }
  const bool passed = totals.failed == 0 && reached && whole;
  if (!campaign.json) out << (passed ? "all passed\n" : "FAILED\n");
  return passed ? 0 : 1;
}

}  // namespace stele::sim

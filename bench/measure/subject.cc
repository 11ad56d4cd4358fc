#include "bench/measure/subject.h"

#include <unistd.h>

#include <stdexcept>
#include <string>

namespace stele::bench {

Run measure(Subject& subject, LoadOptions load, std::size_t connections) {
  Run run;
  run.payload_bytes = load.payload_bytes;
  run.in_flight = load.in_flight;
  run.connections = connections;
  run.rate = load.rate;
  load.measured_begin = [&] {
    run.servers = usage_of(subject.processes());
    run.client = usage_of({::getpid()});
  };
  load.measured_end = [&] {
    run.servers = usage_of(subject.processes()) - run.servers;
    run.client = usage_of({::getpid()}) - run.client;
  };

  const auto before = subject.entries();
  asio::io_context context(1);
  {
    const auto target = subject.target(context, load.in_flight, connections);
    run.load = run_load(context, *target, load);
    target->close();
    context.restart();
    context.run();
  }
  if (!before) return run;
  run.stored = *subject.entries() - *before;
  // Nobody else appends: what was acknowledged is what is there, unless something stayed unknown.
  if (run.stored < run.load.total || run.stored > run.load.total + run.load.failed) {
    throw std::runtime_error(std::to_string(run.load.total) + " appends were acknowledged, " +
                             std::to_string(run.stored) + " entries are in the log");
  }
  return run;
}

}  // namespace stele::bench

// SPDX-License-Identifier: Apache-2.0
#include "bench/run.hpp"

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <ostream>

#include "bench/result_table.hpp"
#include "bench/summary.hpp"

namespace warpbag::bench {

namespace {

/// What all results of a run share.
struct session {
  const run_options& options;
  bench_device& device;
  double bandwidth;
  std::exception_ptr failure = nullptr;
  // The workload that was measured last: the next result is mostly of the same one.
  std::size_t current = 0;
  std::unique_ptr<measured_step> step = nullptr;

  measured_step& step_of(std::size_t index) {
    if (step == nullptr || current != index) {
      step.reset();  // before the next is made: both may not fit
      step = std::make_unique<measured_step>(options.workloads[index], device.get_resources());
      current = index;
    }
    return *step;
  }
};

/// The most memory that this process has held so far.
double peak_resident_bytes() {
  rusage usage = {};
  static_cast<void>(::getrusage(RUSAGE_SELF, &usage));
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

void tell(benchmark::State& state, const workload& workload, const measured_step& step,
          const operations::moved_bytes& bytes, const summary& times, std::size_t runs) {
  const batch_statistics& statistics = step.statistics();
  const memory_use memory = step.memory();
  std::int64_t distinct = 0;
  for (const std::int64_t rows : statistics.distinct_rows) distinct += rows;
  const auto number = [&](const char* name, auto value) {
    state.counters[name] = static_cast<double>(value);
  };
  number("lookups", statistics.lookups);
  number("unique_rows", distinct);
  number("hottest_row", statistics.hottest);
  number("floor_bytes", bytes.floor);
  number("logical_bytes", bytes.logical);
  number("least_seconds", times.least);
  number("p50_seconds", times.p50);
  number("p99_seconds", times.p99);
  number("cpu_seconds", times.cpu);
  number("logical_GB_per_s", times.logical_bandwidth / 1e9);
  number("floor_GB_per_s", bytes.floor / times.p50 / 1e9);
  number("percent_of_floor", 100.0 * times.floor_share);
  number("runs", runs);
  number("table_bytes", memory.tables);
  number("batch_bytes", memory.batch);
  number("workspace_bytes", memory.workspace);
  number("peak_resident_bytes", peak_resident_bytes());
  state.SetLabel(description(workload));
}

void measure(benchmark::State& state, session& session, std::size_t index, measured_call call,
             cache_state cache) {
  measured_step& step = session.step_of(index);
  // Once before the clock starts: memory is touched and the code is there.
  step.prepare(call);
  step.run(call);
  std::vector<run_time> times;
  for (auto _ : state) {
    step.prepare(call);
    if (cache == cache_state::cold) session.device.flush_caches();
    times.push_back(session.device.time([&] { step.run(call); }));
    state.SetIterationTime(times.back().wall);
  }
  step.check();
  const operations::moved_bytes bytes = step.bytes(call);
  tell(state, session.options.workloads[index], step, bytes,
       summarize(times, bytes, session.bandwidth), times.size());
}

void add(session& session, std::size_t index, measured_call call, cache_state cache) {
  const run_options& options = session.options;
  const auto body = [&session, index, call, cache](benchmark::State& state) {
    // An exception must not pass through the frames of Google Benchmark.
    if (session.failure != nullptr) return state.SkipWithError("not run after a failure");
    try {
      measure(state, session, index, call, cache);
    } catch (const std::exception& problem) {
      session.failure = std::current_exception();
      state.SkipWithError(problem.what());
    }
  };
  const std::string name = options.workloads[index].name + "/" + std::string(to_string(call)) +
                           "/" + std::string(to_string(cache));
  auto* const added = benchmark::RegisterBenchmark(name.c_str(), body)
                          ->UseManualTime()
                          ->Unit(benchmark::kMillisecond);
  if (options.iterations > 0) {
    added->Iterations(options.iterations);
  } else {
    added->MinTime(options.min_seconds);
  }
}

/// One line a result.
class table_reporter final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override {
    print_result_header(GetOutputStream());
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.error_occurred) continue;  // it becomes an exception
      const auto number = [&](const char* name) { return run.counters.at(name).value; };
      print_result(GetOutputStream(),
                   {run.run_name.function_name, number("lookups"), number("unique_rows"),
                    number("hottest_row"), number("floor_bytes"), number("logical_bytes"),
                    number("least_seconds"), number("p50_seconds"), number("p99_seconds"),
                    number("cpu_seconds"), number("logical_GB_per_s"), number("percent_of_floor")});
    }
  }
};

}  // namespace

void run_benchmarks(const run_options& options, bench_device& device, std::ostream& out) {
  session session = {options, device,
                     options.bandwidth > 0.0 ? options.bandwidth : device.memory_bandwidth()};
  benchmark::ClearRegisteredBenchmarks();
  for (std::size_t index = 0; index < options.workloads.size(); ++index) {
    for (const measured_call call : options.calls) {
      for (const cache_state cache : options.caches) add(session, index, call, cache);
    }
  }
  const resources& resources = device.get_resources();
  benchmark::AddCustomContext("device", std::string(to_string(resources.where.kind)));
  benchmark::AddCustomContext("threads", std::to_string(resources.num_threads));
  benchmark::AddCustomContext("memory_bandwidth_GB_per_s", std::to_string(session.bandwidth / 1e9));
  table_reporter table;
  benchmark::JSONReporter json;
  benchmark::BenchmarkReporter& reporter =
      options.json ? static_cast<benchmark::BenchmarkReporter&>(json) : table;
  reporter.SetOutputStream(&out);
  reporter.SetErrorStream(&out);
  benchmark::RunSpecifiedBenchmarks(&reporter);
  session.step.reset();
  if (session.failure != nullptr) std::rethrow_exception(session.failure);
}

}  // namespace warpbag::bench

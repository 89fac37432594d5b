// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Starts peer.py and speaks with it: one line of JSON each way, arrays through
// .npz files in a folder of its own.
#include "Peer.h"
#include "ModelFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <time.h>
#include <unistd.h>
#include <utility>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static const char peerProgram[] =
#include "peer.py.inc"
    ;

bool sparse_opt::tool::isPeerName(StringRef name) {
  return name == "onnxruntime" || name == "openvino" ||
         name == "openvino-bf16" || name.ends_with(".py");
}

Error Peer::start(const std::string &python) {
  if (Error error =
          folder.create("sparse-opt-peer", {"inputs.npz", "outputs.npz"}))
    return error;
  // Pipes close themselves in every child but this one.
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
    return makeError("no pipe to Python");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  const char *arguments[] = {python.c_str(), "-c", peerProgram, nullptr};
  int failure = posix_spawnp(&child, python.c_str(), &actions, nullptr,
                             const_cast<char **>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  toChild = fdopen(in[1], "w");
  fromChild = fdopen(out[0], "r");
  if (failure != 0) {
    child = -1;
    return makeError("'" + python + "' can't be started: " + strerror(failure));
  }
  signal(SIGPIPE, SIG_IGN); // a dead child is an error of ask()
  return Error::success();
}

Expected<std::unique_ptr<Peer>> Peer::open(const std::string &python,
                                           const std::string &name,
                                           const std::string &model,
                                           unsigned threads) {
  std::unique_ptr<Peer> peer(new Peer());
  peer->name = name;
  if (Error error = peer->start(python))
    return std::move(error);
  auto reply = peer->ask(json::Object{
      {"do", "open"}, {"peer", name}, {"model", model}, {"threads", threads}});
  if (!reply)
    return reply.takeError();
  peer->version = reply->getString("version").value_or("").str();
  return std::move(peer);
}

Peer::~Peer() {
  if (toChild)
    fclose(toChild); // ends the child's loop
  if (fromChild)
    fclose(fromChild);
  if (child > 0)
    waitpid(child, nullptr, 0);
}

Expected<json::Object> Peer::ask(json::Object command) {
  std::string line;
  raw_string_ostream(line) << json::Value(std::move(command)) << '\n';
  char *reply = nullptr;
  size_t capacity = 0;
  ssize_t length = -1;
  if (fputs(line.c_str(), toChild) >= 0 && fflush(toChild) == 0)
    length = getline(&reply, &capacity, fromChild);
  std::string text(reply ? reply : "", length > 0 ? length : 0);
  free(reply);
  Expected<json::Value> parsed = json::parse(text);
  if (!parsed || !parsed->getAsObject()) {
    if (!parsed)
      consumeError(parsed.takeError());
    return makeError(name + ": the Python process died");
  }
  json::Object object = std::move(*parsed->getAsObject());
  if (auto error = object.getString("error"))
    return makeError(name + ": " + *error);
  waitUntilIdle();
  return std::move(object);
}

void Peer::waitUntilIdle() {
  using namespace std::chrono;
  clockid_t clock;
  if (clock_getcpuclockid(child, &clock) != 0)
    return;
  auto used = [&] {
    timespec time = {};
    clock_gettime(clock, &time);
    return seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
  };
  // Kernels count what runs on another CPU at their ticks only, of 10 ms at
  // most. Some threads never stop, when asked to by their environment.
  auto deadline = steady_clock::now() + seconds(1);
  nanoseconds before = used(), after = before;
  do {
    before = after;
    std::this_thread::sleep_for(milliseconds(20));
    after = used();
    if (after - before <= milliseconds(1))
      return;
  } while (steady_clock::now() < deadline);
  if (!std::exchange(neverRests, true))
    errs() << "sparse-opt: note: " << name
           << ": its threads compute between runs too, and take CPUs from "
              "whoever is measured\n";
}

Error Peer::bind(const std::vector<NpyArray> &inputs) {
  std::string file = folder.path() + "/inputs.npz";
  if (std::string error = writeNpz(file, inputs); !error.empty())
    return makeError(error);
  return ask(json::Object{{"do", "inputs"}, {"file", file}}).takeError();
}

Expected<std::vector<double>> Peer::run(unsigned runs) {
  auto reply = ask(json::Object{{"do", "run"}, {"runs", runs}});
  if (!reply)
    return reply.takeError();
  std::vector<double> times;
  if (const json::Array *list = reply->getArray("ns"))
    for (const json::Value &time : *list)
      times.push_back(time.getAsNumber().value_or(0));
  return times;
}

Expected<std::vector<NpyArray>> Peer::getResults() {
  std::string file = folder.path() + "/outputs.npz";
  auto reply = ask(json::Object{{"do", "run"}, {"runs", 1}, {"file", file}});
  if (!reply)
    return reply.takeError();
  std::vector<NpyArray> results;
  if (std::string error = readNpz(file, results); !error.empty())
    return makeError(error);
  return results;
}

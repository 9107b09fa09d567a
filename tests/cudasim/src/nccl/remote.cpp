// SPDX-License-Identifier: Apache-2.0
#include "remote.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <random>
#include <thread>

namespace cudasim::nccl {
namespace {

enum Type : uint32_t { kJoin = 1, kTasks, kSplit, kLeave, kAbort, kReply };
struct Header {
  uint32_t type, result;
  uint64_t message, bytes;
};
struct Join {
  uint64_t hub;
  int32_t ranks, rank;
};
struct SplitRequest {
  int32_t color, key;
};
struct SplitReply {
  int32_t rank, ranks, complete;
  char id[100];
};
struct WireTask {
  uint32_t kind, type;
  int32_t op, root;
  uint64_t count, index, send_bytes;
  uint8_t scalar[8];
};

bool write_all(int fd, const void* data, size_t n) {
  auto* p = static_cast<const char*>(data);
  while (n) {
    ssize_t k = ::send(fd, p, n, MSG_NOSIGNAL);
    if (k <= 0) {
      if (k < 0 && errno == EINTR) continue;
      return false;
    }
    p += k;
    n -= static_cast<size_t>(k);
  }
  return true;
}

bool read_all(int fd, void* data, size_t n) {
  auto* p = static_cast<char*>(data);
  while (n) {
    ssize_t k = ::read(fd, p, n);
    if (k <= 0) {
      if (k < 0 && errno == EINTR) continue;
      return false;
    }
    p += k;
    n -= static_cast<size_t>(k);
  }
  return true;
}

template <class T>
void append(std::vector<uint8_t>& out, const T& value) {
  auto* p = reinterpret_cast<const uint8_t*>(&value);
  out.insert(out.end(), p, p + sizeof value);
}

socklen_t address_of(const std::string& name, sockaddr_un& a) {
  a = {};
  a.sun_family = AF_UNIX;
  std::memcpy(a.sun_path + 1, name.data(), name.size());  // abstract: vanishes with the process
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
}

// ------------------------------------------------------------ server side ---

struct Connection {
  int fd = -1;
  std::mutex write;
  void reply(uint64_t message, ncclResult_t result, const std::vector<uint8_t>& data) {
    std::lock_guard lock(write);
    Header h{kReply, static_cast<uint32_t>(result), message, data.size()};
    if (write_all(fd, &h, sizeof h)) write_all(fd, data.data(), data.size());
  }
  bool hung_up() const {
    pollfd p{fd, POLLRDHUP, 0};
    return ::poll(&p, 1, 0) > 0;
  }
  ~Connection() { ::close(fd); }
};

// One message of tasks (a group call): answered when its last meeting finishes.
struct Batch {
  std::vector<std::shared_ptr<Meeting>> meetings;
  std::vector<size_t> lanes;
  std::atomic<size_t> left{0};
};

void serve(std::shared_ptr<Connection> c, std::string server) {
  std::shared_ptr<Hub> hub;
  int rank = -1;
  std::vector<std::shared_ptr<Batch>> open;
  auto push = [&] {  // runs what can run, drops what is finished
    for (auto& b : open)
      for (auto& m : b->meetings)
        if (!m->finished && hub->ready(*m)) hub->execute(*m);
    std::erase_if(open, [](auto& b) { return b->left == 0; });
  };
  for (;;) {
    pollfd p{c->fd, POLLIN, 0};
    int n = ::poll(&p, 1, open.empty() ? -1 : 200);
    if (hub) push();
    if (n == 0) continue;
    Header h;
    if (!read_all(c->fd, &h, sizeof h) || h.bytes > (1ull << 36)) break;
    std::vector<uint8_t> body(h.bytes);
    if (!read_all(c->fd, body.data(), body.size())) break;
    if (h.type == kJoin) {
      Join j;
      std::memcpy(&j, body.data(), sizeof j);
      hub = find_hub(server + "#" + std::to_string(j.hub));
      ncclResult_t result = hub ? hub->join(j.rank, j.ranks, true) : ncclInvalidArgument;
      if (result == ncclSuccess) {
        rank = j.rank;
        result = hub->wait_joined([&] { return c->hung_up(); });
      }
      c->reply(h.message, result, {});
    } else if (!hub || rank < 0) {
      break;
    } else if (h.type == kTasks) {
      uint32_t count;
      std::memcpy(&count, body.data(), 4);
      const uint8_t* at = body.data() + 4;
      const uint8_t* data = at + count * sizeof(WireTask);
      auto batch = std::make_shared<Batch>();
      batch->left = count;
      std::vector<Part> parts(count);
      for (uint32_t i = 0; i < count; ++i) {
        WireTask w;
        std::memcpy(&w, at + i * sizeof w, sizeof w);
        Task& t = parts[i].task;
        t.kind = static_cast<Kind>(w.kind);
        t.type = static_cast<ncclDataType_t>(w.type);
        t.reduction.op = w.op;
        std::memcpy(t.reduction.scalar, w.scalar, 8);
        t.root = w.root;
        t.count = w.count;
        t.index = w.index;
        parts[i].in.assign(data, data + w.send_bytes);
        data += w.send_bytes;
        size_t lane = 0;
        batch->meetings.push_back(hub->meeting(t, rank, lane));
        batch->lanes.push_back(lane);
      }
      uint64_t message = h.message;
      for (uint32_t i = 0; i < count; ++i) {
        parts[i].arrived = true;
        parts[i].wanted = true;
        parts[i].since = std::chrono::steady_clock::now();
        parts[i].done = [batch, c, message] {
          if (--batch->left) return;
          std::vector<uint8_t> out;
          ncclResult_t result = ncclSuccess;
          for (size_t k = 0; k < batch->meetings.size(); ++k) {
            Meeting& m = *batch->meetings[k];
            if (m.result != ncclSuccess) result = m.result;
            auto& bytes = m.parts[batch->lanes[k]].out;
            out.insert(out.end(), bytes.begin(), bytes.end());
          }
          c->reply(message, result, result == ncclSuccess ? out : std::vector<uint8_t>{});
        };
        hub->enter(batch->meetings[i], batch->lanes[i], rank, std::move(parts[i]));
      }
      open.push_back(batch);
      cudasim_plugin_changed();
      push();
    } else if (h.type == kSplit) {
      SplitRequest s;
      std::memcpy(&s, body.data(), sizeof s);
      uint64_t message = h.message;
      hub->submit_split(rank, s.color, s.key, [c, message](Hub::Place place) {
        SplitReply r{};
        r.rank = place.rank;
        r.ranks = place.ranks;
        r.complete = place.complete;
        std::strncpy(r.id, place.id.c_str(), sizeof r.id - 1);
        std::vector<uint8_t> out;
        append(out, r);
        c->reply(message, ncclSuccess, out);
      });
    } else if (h.type == kLeave) {
      hub->leave(rank);
      return;
    } else if (h.type == kAbort) {
      hub->lose(rank, "rank " + std::to_string(rank) + " has aborted");
      return;
    }
  }
  if (hub && rank >= 0) hub->lose(rank, "the process of rank " + std::to_string(rank) + " is gone");
}

}  // namespace

void listen_for_ranks(const std::string& name) {
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un a;
  socklen_t size = address_of(name, a);
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&a), size) != 0 || ::listen(fd, 128) != 0) {
    complain("cannot listen for other processes' ranks");
    return;
  }
  std::thread([fd, name] {
    for (;;) {
      int c = ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
      if (c < 0) continue;
      auto connection = std::make_shared<Connection>();
      connection->fd = c;
      std::thread(serve, connection, name).detach();
    }
  }).detach();
}

std::string server_name() {
  static std::mutex mutex;
  static std::string name;
  static pid_t owner = 0;
  std::lock_guard lock(mutex);
  if (owner == getpid()) return name;  // a forked child is a server of its own
  owner = getpid();
  name = "cudasim-nccl-" + std::to_string(owner) + "-" + std::to_string(std::random_device{}());
  listen_for_ranks(name);
  return name;
}

// ------------------------------------------------------------ client side ---

std::shared_ptr<Link> Link::open(const std::string& id) {
  size_t hash = id.rfind('#');
  if (hash == std::string::npos || hash > 100) return nullptr;
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un a;
  socklen_t size = address_of(id.substr(0, hash), a);
  if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&a), size) != 0) {
    if (fd >= 0) ::close(fd);
    return nullptr;
  }
  auto link = std::make_shared<Link>();
  link->fd_ = fd;
  link->hub_ = std::stoull(id.substr(hash + 1));
  std::thread([link] { link->read_replies(); }).detach();
  return link;
}

Link::~Link() {
  if (fd_ >= 0) ::close(fd_);
}

void Link::read_replies() {
  for (;;) {
    Header h;
    Reply r;
    bool ok = read_all(fd_, &h, sizeof h);
    if (ok) {
      r.result = static_cast<ncclResult_t>(h.result);
      r.data.resize(h.bytes);
      ok = read_all(fd_, r.data.data(), r.data.size());
    }
    {
      std::lock_guard lock(mutex_);
      if (!ok) {
        closed_ = true;
        if (!left_) {
          error_ = ncclRemoteError;
          complain("the process that holds the communicator's meeting point is gone");
        }
      } else {
        if (r.result != ncclSuccess) error_ = r.result;
        replies_[h.message] = std::move(r);
      }
      changed_.notify_all();
    }
    cudasim_plugin_changed();
    if (!ok) return;
  }
}

uint64_t Link::post(uint32_t type, const std::vector<uint8_t>& body) {
  std::lock_guard lock(write_);
  uint64_t message = next_++;
  Header h{type, 0, message, body.size()};
  if (write_all(fd_, &h, sizeof h)) write_all(fd_, body.data(), body.size());
  return message;
}

bool Link::wait_reply(uint64_t message, Reply& out, const std::function<bool()>& cancelled) {
  std::unique_lock lock(mutex_);
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(timeout_seconds() + 5);
  auto here = [&] { return closed_ || replies_.count(message); };
  while (!changed_.wait_for(lock, std::chrono::milliseconds(20), here))
    if (cancelled() || std::chrono::steady_clock::now() > end) return false;
  if (!replies_.count(message)) return false;
  out = std::move(replies_[message]);
  replies_.erase(message);
  return true;
}

ncclResult_t Link::join(int ranks, int rank, const std::function<bool()>& cancelled) {
  std::vector<uint8_t> body;
  append(body, Join{hub_, ranks, rank});
  Reply r;
  return wait_reply(post(kJoin, body), r, cancelled) ? r.result : ncclSystemError;
}

uint64_t Link::send(const std::vector<Task>& tasks, const std::vector<uint8_t>& payload) {
  std::vector<uint8_t> body;
  append(body, static_cast<uint32_t>(tasks.size()));
  for (auto& t : tasks) {
    WireTask w{};
    w.kind = static_cast<uint32_t>(t.kind);
    w.type = static_cast<uint32_t>(t.type);
    w.op = t.reduction.op;
    w.root = t.root;
    w.count = t.count;
    w.index = t.index;
    w.send_bytes = t.wire_bytes;
    std::memcpy(w.scalar, t.reduction.scalar, 8);
    append(body, w);
  }
  body.insert(body.end(), payload.begin(), payload.end());
  return post(kTasks, body);
}

bool Link::answer(uint64_t message, ncclResult_t& result, std::vector<uint8_t>& data) {
  std::lock_guard lock(mutex_);
  auto it = replies_.find(message);
  if (it != replies_.end()) {
    result = it->second.result;
    data = std::move(it->second.data);
    replies_.erase(it);
    return true;
  }
  if (!closed_) return false;
  result = ncclRemoteError;
  return true;
}

ncclResult_t Link::split(int color, int key, Hub::Place& place,
                         const std::function<bool()>& cancelled) {
  std::vector<uint8_t> body;
  append(body, SplitRequest{color, key});
  Reply r;
  if (!wait_reply(post(kSplit, body), r, cancelled))
    return closed() ? ncclRemoteError : ncclSystemError;
  if (r.result != ncclSuccess || r.data.size() < sizeof(SplitReply)) return ncclSystemError;
  SplitReply s;
  std::memcpy(&s, r.data.data(), sizeof s);
  place = {s.id, s.rank, s.ranks, s.complete != 0};
  return ncclSuccess;
}

void Link::leave(bool orderly) {
  {
    std::lock_guard lock(mutex_);
    if (left_) return;
    left_ = true;
  }
  post(orderly ? kLeave : kAbort, {});
  // Ends the reader here and, should the server be waiting for other ranks, its wait.
  if (!orderly) ::shutdown(fd_, SHUT_WR);
}

bool Link::closed() {
  std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace cudasim::nccl

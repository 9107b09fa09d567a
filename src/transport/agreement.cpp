// SPDX-License-Identifier: Apache-2.0
#include "transport/agreement.hpp"

#include <algorithm>
#include <string>
#include <tuple>

#include "io/checksum.hpp"

namespace warpbag::ranks {
namespace {

using word = std::int64_t;

// A message is header words, payload words, checksum of both.
constexpr std::size_t header_words = 11;
constexpr std::size_t frame_words = header_words + 1;
static_assert(frame_bytes == frame_words * sizeof(word));

void append_header(std::vector<word>& words, const call_header& header, std::size_t payload) {
  const auto as_word = [](std::uint64_t bits) { return static_cast<word>(bits); };
  words.insert(words.end(),
               {static_cast<word>(payload), as_word(header.step), header.operation,
                as_word(header.schema), header.fault, header.where.feature, header.where.table,
                header.where.bag, header.where.position, header.where.value, header.limit});
}

call_header header_from(std::span<const word> words) {
  call_header header;
  header.step = static_cast<std::uint64_t>(words[1]);
  header.operation = static_cast<std::uint32_t>(words[2]);
  header.schema = static_cast<std::uint64_t>(words[3]);
  header.fault = static_cast<std::uint32_t>(words[4]);
  header.where.feature = static_cast<std::int32_t>(words[5]);
  header.where.table = static_cast<std::int32_t>(words[6]);
  header.where.bag = words[7];
  header.where.position = words[8];
  header.where.value = words[9];
  header.limit = words[10];
  return header;
}

word checksum_of(std::span<const word> words) {
  io::checksum sum;
  sum.add(std::as_bytes(words));
  return static_cast<word>(sum.value());
}

std::string hexadecimal(std::uint64_t value) {
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[(value >> shift) & 15U];
  return text;
}

std::int64_t bytes_of(std::size_t words) { return static_cast<std::int64_t>(words * sizeof(word)); }

}  // namespace

bool operator==(const call_header& a, const call_header& b) {
  const auto fields = [](const call_header& h) {
    return std::tuple(h.step, h.operation, h.schema, h.fault, h.where.feature, h.where.table,
                      h.where.bag, h.where.position, h.where.value, h.limit);
  };
  return fields(a) == fields(b);
}

agreement::agreement(transport& ranks, operations::device_access& staging,
                     name_of_operation name_of)
    : ranks_(ranks), staging_(staging), name_of_(name_of) {}

void agreement::grow(std::size_t send_words, std::size_t receive_words) {
  const auto at_least = [&](collection::device_buffer& buffer, std::size_t words) {
    const std::size_t bytes = words * sizeof(word);
    if (buffer.bytes() >= bytes) return;
    buffer = {};  // the old one first: not both at once
    buffer = collection::device_buffer(staging_, std::max(bytes, std::size_t{4096}));
  };
  at_least(sent_, send_words);
  at_least(received_, receive_words);
}

std::vector<call_header> agreement::exchange(const call_header& mine,
                                             std::span<const std::vector<std::int64_t>> to_each,
                                             std::vector<std::vector<std::int64_t>>& from_each) {
  const auto size = static_cast<std::size_t>(ranks_.size());
  if (to_each.size() != size || from_each.size() != size) {
    throw invalid_argument("agreement: payloads to " + std::to_string(to_each.size()) +
                           " ranks and from " + std::to_string(from_each.size()) + ", of " +
                           std::to_string(size));
  }
  std::vector<word> out;
  std::size_t expected = 0;
  for (std::size_t r = 0; r < size; ++r) {
    const std::size_t begin = out.size();
    append_header(out, mine, to_each[r].size());
    out.insert(out.end(), to_each[r].begin(), to_each[r].end());
    out.push_back(checksum_of(std::span(out).subspan(begin)));
    expected += frame_words + from_each[r].size();
  }
  grow(out.size(), expected);
  staging_.write(sent_.data(), out.data(), out.size() * sizeof(word));

  std::vector<send_piece> sends;
  std::vector<receive_piece> receives;
  const word* from = sent_.as<word>();
  word* to = received_.as<word>();
  for (std::size_t r = 0; r < size; ++r) {
    const std::size_t send_words = frame_words + to_each[r].size();
    const std::size_t receive_words = frame_words + from_each[r].size();
    sends.push_back({static_cast<int>(r), from, bytes_of(send_words)});
    receives.push_back({static_cast<int>(r), to, bytes_of(receive_words)});
    from += send_words;
    to += receive_words;
  }
  ranks_.all_to_all_v(sends, receives);
  ranks_.wait();
  std::vector<word> in(expected);
  staging_.read(in.data(), received_.data(), expected * sizeof(word));

  std::vector<call_header> headers = unpack(in, from_each);
  check_same_call(headers);
  return headers;
}

std::vector<call_header> agreement::unpack(std::span<const std::int64_t> messages,
                                           std::vector<std::vector<std::int64_t>>& from_each) {
  std::vector<call_header> headers;
  std::span<const word> rest = messages;
  for (std::size_t r = 0; r < from_each.size(); ++r) {
    const std::size_t payload = from_each[r].size();
    const std::span<const word> body = rest.first(header_words + payload);
    const int rank = static_cast<int>(r);
    if (const word told = body[0]; told != static_cast<word>(payload)) {
      fail(rank, "sends " + std::to_string(told) + " words where " + std::to_string(payload) +
                     " are expected");
    }
    if (checksum_of(body) != rest[body.size()]) fail(rank, "sent a message with a wrong checksum");
    headers.push_back(header_from(body));
    std::ranges::copy(body.subspan(header_words), from_each[r].begin());
    rest = rest.subspan(frame_words + payload);
  }
  return headers;
}

void agreement::check_same_call(std::span<const call_header> headers) {
  const auto name = [&](std::uint32_t operation) {
    return name_of_ == nullptr ? std::to_string(operation) : std::string(name_of_(operation));
  };
  const call_header& first = headers[0];
  // A rank that refuses its call may not even know what the call is made of.
  const auto sound = std::ranges::find(headers, 0U, &call_header::fault);
  for (std::size_t r = 1; r < headers.size(); ++r) {
    const call_header& other = headers[r];
    const auto differ = [&](const char* what, const std::string& its, std::ptrdiff_t rank,
                            const std::string& another) {
      fail(static_cast<int>(r), std::string(what) + " is " + its + " where rank " +
                                    std::to_string(rank) + "'s is " + another);
    };
    // The operation first: a rank that makes another call is at another step because of that.
    if (other.operation != first.operation) {
      differ("has another operation: its", name(other.operation), 0, name(first.operation));
    }
    if (other.step != first.step) {
      differ("is at another step: its", std::to_string(other.step), 0, std::to_string(first.step));
    }
    if (other.fault == 0 && other.schema != sound->schema) {
      differ("has other tables or another plan: its hash", hexadecimal(other.schema),
             sound - headers.begin(), hexadecimal(sound->schema));
    }
  }
}

void agreement::fail(int rank, const std::string& words) {
  const rank_mismatch fault("ranks do not agree: rank " + std::to_string(rank) + " " + words, rank);
  ranks_.abort(fault);
  throw fault;
}

}  // namespace warpbag::ranks

// SPDX-License-Identifier: Apache-2.0
#include "cli/vocabulary_file.hpp"

#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "io/checkpoint_layout.hpp"
#include "io/checksum.hpp"
#include "warpbag/error.hpp"

namespace warpbag::cli {

namespace {

constexpr const char* fingerprint_key = "fingerprint";
constexpr const char* checksum_key = "checksum";

using byte_span = std::span<const std::byte>;

/// Of the header, but for the checksum itself, and the contents.
std::string checksum_of(std::span<const safetensors_entry> entries, const std::string& fingerprint,
                        const std::vector<byte_span>& contents) {
  const std::uint64_t header = io::header_checksum(entries, {{fingerprint_key, fingerprint}});
  io::checksum sum;
  sum.add(std::as_bytes(std::span(&header, 1)));
  for (const byte_span bytes : contents) sum.add(bytes);
  return std::to_string(sum.value());
}

/// The tensors of a file, read whole.
class vocabulary_reader {
 public:
  explicit vocabulary_reader(const std::filesystem::path& file) : file_(file), reader_(file) {
    std::vector<byte_span> spans;
    for (const safetensors_entry& entry : reader_.entries()) {
      std::vector<std::byte>& bytes = contents_[entry.name];
      bytes.resize(entry.num_bytes());
      reader_.read(entry.name, 0, bytes);
      spans.push_back(bytes);
    }
    if (value_of(checksum_key) !=
        checksum_of(reader_.entries(), value_of(fingerprint_key), spans)) {
      corrupt("wrong checksum");
    }
  }

  void require_fingerprint(std::uint64_t fingerprint) const {
    if (value_of(fingerprint_key) != std::to_string(fingerprint)) {
      corrupt("of other data than the checkpoint's");
    }
  }

  /// Empty when the table has none.
  token_vocabulary vocabulary_of(const std::string& table) const {
    token_vocabulary vocabulary;
    const safetensors_entry* const ends = reader_.find(table + ".ends");
    const safetensors_entry* const tokens = reader_.find(table + ".tokens");
    if (ends == nullptr && tokens == nullptr) return vocabulary;
    if (ends == nullptr || tokens == nullptr || ends->type != safetensors_type::u64 ||
        tokens->type != safetensors_type::u8) {
      corrupt("table '" + table + "' has no tokens of the right type");
    }
    const std::vector<std::byte>& text = contents_.at(tokens->name);
    const std::string_view all(reinterpret_cast<const char*>(text.data()), text.size());
    const std::vector<std::byte>& numbers = contents_.at(ends->name);
    std::vector<std::uint64_t> places(numbers.size() / sizeof(std::uint64_t));
    if (!places.empty()) std::memcpy(places.data(), numbers.data(), numbers.size());
    std::uint64_t begin = 0;
    for (std::size_t id = 0; id < places.size(); ++id) {
      const std::uint64_t end = places[id];
      if (end < begin || end > all.size() ||
          vocabulary.id_of(all.substr(begin, end - begin)) != id) {
        corrupt("table '" + table + "': token " + std::to_string(id) + " is out of place");
      }
      begin = end;
    }
    return vocabulary;
  }

 private:
  [[noreturn]] void corrupt(const std::string& fault) const {
    throw corrupt_file("vocabularies '" + file_.string() + "': " + fault);
  }

  const std::string& value_of(const char* key) const {
    const auto found = reader_.metadata().find(key);
    if (found == reader_.metadata().end()) corrupt(std::string("no ") + key);
    return found->second;
  }

  std::filesystem::path file_;
  safetensors_reader reader_;
  std::map<std::string, std::vector<std::byte>> contents_;
};

}  // namespace

std::filesystem::path vocabulary_file(const std::filesystem::path& folder) {
  return folder / "vocabulary.safetensors";
}

void save_vocabularies(const dataset& samples, const std::filesystem::path& file) {
  std::vector<safetensors_entry> entries;
  std::vector<byte_span> contents;
  for (const dataset_table& table : samples.tables()) {
    const token_vocabulary& tokens = table.vocabulary;
    if (tokens.size() == 0) continue;
    entries.push_back({table.name + ".ends", safetensors_type::u64, {tokens.ends().size()}});
    contents.push_back(std::as_bytes(tokens.ends()));
    entries.push_back({table.name + ".tokens", safetensors_type::u8, {tokens.bytes().size()}});
    contents.push_back(std::as_bytes(std::span(tokens.bytes())));
  }
  const std::string fingerprint = std::to_string(samples.fingerprint());
  safetensors_writer writer(file, entries,
                            {{fingerprint_key, fingerprint},
                             {checksum_key, checksum_of(entries, fingerprint, contents)}});
  for (const byte_span bytes : contents) writer.write(bytes);
  writer.commit();
}

std::vector<dataset_table> load_vocabularies(const std::filesystem::path& file,
                                             const run_record& record) {
  const vocabulary_reader reader(file);
  reader.require_fingerprint(record.fingerprint);
  std::vector<dataset_table> tables;
  for (const model::machine_table& table : record.machine.tables) {
    token_vocabulary vocabulary = reader.vocabulary_of(table.name);
    const std::int64_t num_ids = vocabulary.size() > 0 ? vocabulary.size() : table.num_rows;
    tables.push_back({table.name, num_ids, std::move(vocabulary)});
  }
  return tables;
}

}  // namespace warpbag::cli

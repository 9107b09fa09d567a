// SPDX-License-Identifier: Apache-2.0
// safetensors_copy FROM TO: reads one file with warpbag and writes what it read to another, for
// safetensors_peer.py.

#include <exception>
#include <iostream>
#include <vector>

#include "warpbag/safetensors.hpp"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: safetensors_copy FROM TO\n";
    return 2;
  }
  try {
    const warpbag::safetensors_reader reader(argv[1]);
    warpbag::safetensors_writer writer(argv[2], {reader.entries().begin(), reader.entries().end()},
                                       reader.metadata());
    for (const warpbag::safetensors_entry& entry : reader.entries()) {
      std::vector<std::byte> bytes(entry.num_bytes());
      reader.read(entry.name, 0, bytes);
      writer.write(bytes);
    }
    writer.commit();
    return 0;
  } catch (const std::exception& problem) {
    std::cerr << problem.what() << '\n';
    return 1;
  }
}

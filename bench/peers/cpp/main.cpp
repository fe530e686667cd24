// A process that holds data sets and does laps on command, so that rounds of several languages interleave.
//
//   load NAME PATH           reads a file; answers "ok"
//   lap FIGURE ARGUMENT...   does the work once; answers "NANOSECONDS RESULT"
//
// Anything wrong is answered by "error WHY". Ends when its input does.
#include "peer.hpp"
#include <cstdio>
#include <iostream>
#include <sstream>
#include <stdexcept>

static std::map<std::string, Buffer> buffers;

const Buffer &bufferNamed(const std::string &name) {
  const auto found = buffers.find(name);
  if (found == buffers.end()) throw std::runtime_error("no data set " + name);
  return found->second;
}

static Buffer readFile(const std::string &path) {
  std::FILE *file = std::fopen(path.c_str(), "rb");
  if (!file) throw std::runtime_error("cannot read " + path);
  std::fseek(file, 0, SEEK_END);
  Buffer buffer;
  buffer.bytes = static_cast<size_t>(std::ftell(file));
  buffer.data = alignedRoom(buffer.bytes);
  std::rewind(file);
  const size_t read = std::fread(buffer.data, 1, buffer.bytes, file);
  std::fclose(file);
  if (read != buffer.bytes) throw std::runtime_error("short read of " + path);
  return buffer;
}

static std::string answer(std::map<std::string, Figure> &figures, std::istringstream &words) {
  std::string command, name;
  words >> command >> name;
  Arguments arguments;
  for (std::string word; words >> word;) arguments.push_back(word);
  if (command == "load") {
    std::free(buffers[name].data);
    buffers[name] = readFile(arguments.at(0));
    return "ok";
  }
  if (command != "lap" || !figures.count(name)) throw std::runtime_error("no figure " + name);
  const Lap lap = figures[name](arguments);
  return std::to_string(lap.elapsedNs) + " " + lap.result;
}

int main() {
  std::map<std::string, Figure> figures;
  addTagFigures(figures);
  addPhysicsFigures(figures);
  addSearchFigures(figures);
  addKeyFigures(figures);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    try {
      std::cout << answer(figures, words) << std::endl;
    } catch (const std::exception &error) {
      std::cout << "error " << error.what() << std::endl;
    }
  }
  return 0;
}

// A page with plots, in one file that needs nothing else.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace stele::bench {

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

struct Plot {
  std::string title;
  std::string x;  ///< What is along it, with its unit.
  std::string y;
  bool log_x = false;  ///< Values that are not positive are left out.
  bool log_y = false;
  std::vector<Series> series;
};

/// HTML with every plot as SVG, and `text` as it stands below them.
[[nodiscard]] std::string page(const std::string& title, const std::vector<Plot>& plots,
                               const std::string& text);

/// Throws if it cannot be written.
void write_page(const std::string& path, const std::string& content);

}  // namespace stele::bench

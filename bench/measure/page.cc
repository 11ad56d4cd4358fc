#include "bench/measure/page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace stele::bench {
namespace {

constexpr double kWidth = 760;
constexpr double kHeight = 400;
constexpr double kLeft = 80;
constexpr double kRight = 20;
constexpr double kTop = 50;
constexpr double kBottom = 50;
/// Told apart by people who do not see all colours (Okabe and Ito's palette).
constexpr std::array kColors{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};

std::string escaped(const std::string& text) {
  std::string all;
  for (const char c : text) {
    if (c == '&')
      all += "&amp;";
    else if (c == '<')
      all += "&lt;";
    else if (c == '>')
      all += "&gt;";
    else if (c == '"')
      all += "&quot;";
    else
      all += c;
  }
  return all;
}

template <class... Values>
std::string format(const char* text, Values... values) {
  std::array<char, 256> buffer{};
  std::snprintf(buffer.data(), buffer.size(), text, values...);
  return buffer.data();
}

/// 1500000 as 1.5M.
std::string short_number(double value) {
  const double size = std::abs(value);
  if (size >= 1e6) return format("%gM", value / 1e6);
  if (size >= 1e3) return format("%gk", value / 1e3);
  return format("%g", value);
}

/// One direction of a plot: which values it spans, and where each lies between 0 and 1.
class Axis {
 public:
  Axis(bool log, double least, double most) : log_(log) {
    if (log_) {
      from_ = std::floor(std::log10(least));
      to_ = std::max(std::ceil(std::log10(most)), from_ + 1);
      for (double power = from_; power <= to_; power += 1) {
        for (const double step : {1.0, 2.0, 5.0}) {
          const double value = step * std::pow(10, power);
          if (std::log10(value) <= to_ + 1e-9 && (step == 1.0 || to_ - from_ < 4)) {
            ticks_.push_back(value);
          }
        }
      }
      return;
    }
    to_ = most > 0 ? most : 1;  // Everything that is drawn here begins at zero.
    const double power = std::pow(10, std::floor(std::log10(to_)));
    const double step = to_ / power >= 5 ? power : to_ / power >= 2 ? power / 2 : power / 5;
    to_ = std::ceil(to_ / step) * step;
    for (double value = 0; value <= to_ * 1.001; value += step) ticks_.push_back(value);
  }
  [[nodiscard]] bool has(double value) const { return !log_ || value > 0; }
  [[nodiscard]] double at(double value) const {
    return ((log_ ? std::log10(value) : value) - from_) / (to_ - from_);
  }
  [[nodiscard]] const std::vector<double>& ticks() const { return ticks_; }

 private:
  bool log_;
  double from_ = 0;
  double to_ = 1;
  std::vector<double> ticks_;
};

Axis axis_of(const Plot& plot, bool log, double std::pair<double, double>::*part) {
  double least = HUGE_VAL;
  double most = -HUGE_VAL;
  for (const Series& series : plot.series) {
    for (const auto& point : series.points) {
      if (log && point.*part <= 0) continue;
      least = std::min(least, point.*part);
      most = std::max(most, point.*part);
    }
  }
  if (least > most) least = most = 1;
  return {log, least, most};
}

std::string svg(const Plot& plot) {
  const Axis x = axis_of(plot, plot.log_x, &std::pair<double, double>::first);
  const Axis y = axis_of(plot, plot.log_y, &std::pair<double, double>::second);
  const auto px = [&](double value) { return kLeft + x.at(value) * (kWidth - kLeft - kRight); };
  const auto py = [&](double value) {
    return kHeight - kBottom - y.at(value) * (kHeight - kTop - kBottom);
  };
  std::string out = format("<svg viewBox=\"0 0 %g %g\" role=\"img\">\n", kWidth, kHeight);
  out +=
      format("<text x=\"%g\" y=\"20\" class=\"title\">", kLeft) + escaped(plot.title) + "</text>\n";
  for (const double tick : x.ticks()) {
    out += format("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\" class=\"grid\"/>", px(tick),
                  px(tick), kTop, kHeight - kBottom);
    out += format("<text x=\"%.1f\" y=\"%g\" class=\"middle\">", px(tick), kHeight - kBottom + 16) +
           short_number(tick) + "</text>\n";
  }
  for (const double tick : y.ticks()) {
    out += format("<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>", kLeft,
                  kWidth - kRight, py(tick), py(tick));
    out += format("<text x=\"%g\" y=\"%.1f\" class=\"end\">", kLeft - 6, py(tick) + 4) +
           short_number(tick) + "</text>\n";
  }
  out += format("<text x=\"%g\" y=\"%g\" class=\"middle\">", (kLeft + kWidth - kRight) / 2,
                kHeight - 12) +
         escaped(plot.x) + "</text>\n";
  out += format("<text transform=\"translate(18 %g) rotate(-90)\" class=\"middle\">",
                (kTop + kHeight - kBottom) / 2) +
         escaped(plot.y) + "</text>\n";
  double legend = kLeft;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const Series& series = plot.series[i];
    const char* color = kColors[i % kColors.size()];
    std::string path;
    std::string marks;
    for (const auto& [at_x, at_y] : series.points) {
      if (!x.has(at_x) || !y.has(at_y)) continue;
      path += format("%s%.1f %.1f", path.empty() ? "M" : " L", px(at_x), py(at_y));
      if (series.points.size() <= 20) {
        marks += format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"><title>", px(at_x),
                        py(at_y), color) +
                 escaped(series.name) + format(": %.4g, %.4g</title></circle>\n", at_x, at_y);
      }
    }
    out += format("<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" d=\"", color) + path +
           "\"/>\n" + marks;
    out +=
        format("<rect x=\"%g\" y=\"30\" width=\"10\" height=\"10\" fill=\"%s\"/>", legend, color);
    out += format("<text x=\"%g\" y=\"39\">", legend + 14) + escaped(series.name) + "</text>\n";
    legend += 40 + 7.5 * static_cast<double>(series.name.size());
  }
  return out + "</svg>\n";
}

}  // namespace

std::string page(const std::string& title, const std::vector<Plot>& plots,
                 const std::string& text) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\"><title>" +
      escaped(title) +
      "</title>\n<style>\n"
      "body { font: 14px system-ui, sans-serif; margin: 2em auto; max-width: 1100px; }\n"
      "svg { max-width: 780px; width: 100%; display: block; margin: 1em 0; font-size: 12px; }\n"
      ".title { font-size: 15px; font-weight: 600; } .grid { stroke: #ddd; }\n"
      ".middle { text-anchor: middle; } .end { text-anchor: end; }\n"
      "pre { overflow-x: auto; line-height: 1.35; }\n"
      "</style></head><body>\n<h1>" +
      escaped(title) + "</h1>\n";
  for (const Plot& plot : plots) out += svg(plot);
  return out + "<pre>" + escaped(text) + "</pre>\n</body></html>\n";
}

void write_page(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  if (!file) throw std::runtime_error(path + " cannot be written");
}

}  // namespace stele::bench

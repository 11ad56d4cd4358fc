#include "tests/tidy/scan.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <regex>

namespace stele::tidy {
namespace {

/// The source without comments, and with nothing in its literals; a doc comment is \1 where it
/// stands for itself, and \2 at the end of a line.
std::string bare(const std::string& text) {
  std::string out;
  const auto blank = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) out += text[i] == '\n' ? '\n' : ' ';
  };
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    if (text.compare(at, 2, "//") == 0 || (text[at] == '#' && (at == 0 || text[at - 1] == '\n'))) {
      end = std::min(text.find('\n', at), text.size());
      while (text[at] == '#' && text[end - 1] == '\\')  // A macro goes on.
        end = std::min(text.find('\n', end + 1), text.size());
      const bool doc = text.compare(at, 4, "/// ") == 0 || text.compare(at, 4, "///<") == 0;
      if (doc) out += text[at + 3] == '<' ? '\2' : '\1';
      blank(doc ? at + 1 : at, end);
    } else if (text.compare(at, 3, "R\"(") == 0) {
      end = text.find(")\"", at) + 2;
      blank(at, end);
    } else if (text[at] == '"' ||
               (text[at] == '\'' && (at == 0 || std::isalnum(text[at - 1]) == 0))) {
      while (text[end] != text[at]) end += text[end] == '\\' ? 2U : 1U;
      blank(at, ++end);
    } else {
      out += text[at];
    }
    at = end;
  }
  return out;
}

enum class Scope { outside, hidden, function };

/// One pass over a source.
class Scanner {
 public:
  explicit Scanner(const Source& source) {
    std::string text;
    for (const std::string& line : source.lines) text += line + "\n";
    text_ = bare(text);
  }

  std::vector<Statement> scan() {
    for (at_ = 0; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (c == '\1') said_ = true;
      if (c == '(') ++parentheses_;
      if (c == ')') --parentheses_;
      if (parentheses_ == 0 && c == '{') {
        open();
      } else if (parentheses_ == 0 && c == '}') {
        close();
      } else if (parentheses_ == 0 && (c == ';' || (c == ',' && in_enum()))) {
        end();
      } else if (c != '\1' && c != '\2') {
        take(c);
      }
    }
    return std::move(found_);
  }

 private:
  struct Open {
    Scope scope;
    std::size_t statement;  // Of a function; else SIZE_MAX.
    bool is_part;           // An initializer: what is around it goes on afterwards.
    bool is_enum;
  };

  void take(char c) {
    const bool space = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (head_.empty() && space) return;
    if (head_.empty()) begin_ = line_;
    if (!space || !head_.ends_with(' ')) head_ += space ? ' ' : c;
    if (head_ == "public:" || head_ == "private:") {
      const Scope around = scopes_.size() > 1 ? scopes_[scopes_.size() - 2].scope : Scope::outside;
      scopes_.back().scope = head_ == "public:" ? around : Scope::hidden;
      head_.clear();
    }
  }

  [[nodiscard]] Scope scope() const {
    return scopes_.empty() ? Scope::outside : scopes_.back().scope;
  }

  [[nodiscard]] bool in_enum() const { return !scopes_.empty() && scopes_.back().is_enum; }

  void open() {
    static const std::regex kGroup(
        "^(template ?<.*> )?(namespace|extern|TEST_SUITE|class|struct|union|enum)\\b.*");
    static const std::regex kHidden(
        "^(namespace (\\w+::)*detail|namespace|(template ?<.*> )?class .*) ?$");
    Open opened{scope(), SIZE_MAX, false, head_.starts_with("enum")};
    const bool type = std::regex_match(head_, kGroup) && head_.find('(') == std::string::npos;
    if (scope() != Scope::function && (type || head_.starts_with("TEST_SUITE"))) {
      if (std::regex_match(head_, kHidden)) opened.scope = Scope::hidden;
      if (!head_.starts_with("namespace") && !head_.starts_with("TEST_SUITE")) add(false);
      head_.clear();
      said_ = false;
    } else if (scope() != Scope::function && is_body()) {
      opened.statement = found_.size();
      opened.scope = Scope::function;
      add(true);
      head_.clear();
    } else {
      opened.is_part = scope() != Scope::function;
      opened.scope = Scope::function;
    }
    scopes_.push_back(opened);
  }

  /// Whether a brace here begins a function's body, and not a value.
  [[nodiscard]] bool is_body() const {
    const std::size_t parenthesis = head_.find('(');
    const std::size_t equals = head_.find(" = ");
    if (parenthesis == std::string::npos || equals < parenthesis) return false;
    // A member's initial value in braces, before the body: x{1}, or : x_{1}.
    const char before =
        head_.find_last_not_of(' ') == std::string::npos ? ' ' : head_[head_.find_last_not_of(' ')];
    const bool after_word = std::isalnum(static_cast<unsigned char>(before)) != 0 || before == '_';
    const bool spaced = head_.ends_with(' ');
    return !after_word || spaced;
  }

  void close() {
    if (scopes_.empty()) return;
    const Open closed = scopes_.back();
    scopes_.pop_back();
    if (closed.statement != SIZE_MAX) {
      Statement& function = found_[closed.statement];
      function.lines = line_ - function.line + 1;
      note_after(function);
    }
    if (closed.is_part) return;
    // The last of an enum's has neither.
    if (closed.statement == SIZE_MAX && !head_.empty() && scope() != Scope::function) add(false);
    head_.clear();
    said_ = false;
  }

  void end() {
    if (scope() != Scope::function && !head_.empty()) add(false);
    head_.clear();
    said_ = false;
  }

  void add(bool is_function) {
    while (head_.ends_with(' ')) head_.pop_back();
    found_.push_back(
        {head_, begin_, line_ - begin_ + 1, is_function, scope() == Scope::outside, said_});
    if (!is_function) note_after(found_.back());
    said_ = false;
  }

  /// A doc comment at the end of the line.
  void note_after(Statement& statement) const {
    const std::size_t end = text_.find('\n', at_);
    if (text_.substr(at_, end - at_).find('\2') != std::string::npos) statement.said = true;
  }

  std::string text_;
  std::size_t at_ = 0;
  std::size_t line_ = 0;
  std::size_t begin_ = 0;
  int parentheses_ = 0;
  bool said_ = false;
  std::string head_;
  std::vector<Open> scopes_;
  std::vector<Statement> found_;
};

}  // namespace

std::vector<Statement> statements(const Source& source) { return Scanner(source).scan(); }

}  // namespace stele::tidy

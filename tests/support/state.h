// The replicated state, as tests load it.
#pragma once

#include <vector>

#include "log/state/log_state.h"
#include "log/store/store.h"

namespace stele::log {

inline const std::vector<SectionTable> kTestTables = tables_of(known_sections());

inline LogState state_of(const StoreContent& content, const Sections& sections = known_sections()) {
  return LogState::load(sections, content.numbers, content.rows).value();
}

/// What a store holds of it.
inline LogState state_of(Store& store, const Sections& sections = known_sections()) {
  return state_of(store.load().value(), sections);
}

}  // namespace stele::log

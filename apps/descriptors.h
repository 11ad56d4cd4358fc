// The descriptors of a program.
#pragma once

namespace stele::apps {

/// Call first: standard input, output or error that whoever started the program has closed stay
/// so. Otherwise the next thing that is opened takes their place, and is read or written for them.
void keep_standard_descriptors();
/// As many as the system allows: each client of a node takes one.
void raise_descriptors();

}  // namespace stele::apps

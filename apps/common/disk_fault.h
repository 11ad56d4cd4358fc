// A disk that fails under a mapped file.
#pragma once

namespace stele::apps {

/// LMDB reads through a map: a data file that was cut off, or a disk that cannot read a page, shows
/// as SIGBUS. From now on that ends the program with a sentence and exit code 4.
void end_on_disk_fault();

}  // namespace stele::apps

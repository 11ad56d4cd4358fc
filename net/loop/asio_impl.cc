// Asio's own sources, compiled here and nowhere else.
#include <asio/impl/src.hpp>

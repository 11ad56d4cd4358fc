#include "log/store/files/lmdb.h"

#include <fcntl.h>
#include <lmdb.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "log/format/record.h"
#include "log/store/redo.h"
#include "paxos/base/bytes.h"

namespace stele::log {
namespace {

/// All tables that an environment must have, and no others.
std::vector<SectionTable> all_tables(const std::vector<SectionTable>& sections) {
  std::vector<SectionTable> all{{Table::meta, "meta"},
                                {Table::slots, "slots"},
                                {Table::index, "index"},
                                {Table::runs, "runs"},
                                {Table::segments, "segments"}};
  all.insert(all.end(), sections.begin(), sections.end());
  return all;
}

tl::unexpected<Error> lmdb_error(int code, const char* doing) {
  if (code == ENOSPC || code == EDQUOT) {
    return fail(Errc::no_space, std::string(doing) + ": " + mdb_strerror(code));
  }
  const Errc errc = code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID ||
                            code == MDB_PANIC || code == MDB_BAD_TXN
                        ? Errc::corrupt
                        : Errc::io;
  return fail(errc, std::string(doing) + ": " + mdb_strerror(code));
}

Result<void> sync_path(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return fail(Errc::io, "cannot open " + path + " to sync it");
  const int failed = ::fsync(descriptor);
  ::close(descriptor);
  if (failed != 0) return fail(Errc::io, "cannot sync " + path);
  return {};
}

MDB_val to_val(std::span<const std::byte> bytes) {
  return {bytes.size(), const_cast<std::byte*>(bytes.data())};
}

std::span<const std::byte> to_span(const MDB_val& value) {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

tl::unexpected<Error> no_store(const std::string& file, const std::string& why) {
  return fail(Errc::foreign_directory, file + " is not a store of Stele: " + why);
}

/// A table that this program does not know must not be ignored. `names`: of the environment's own
/// table of tables.
Result<void> check_no_others(const MDB_stat& names, const std::vector<SectionTable>& tables,
                             const std::string& file) {
  if (names.ms_entries <= tables.size()) return {};
  return fail(Errc::newer_format, file + " has " + std::to_string(names.ms_entries) +
                                      " tables, and this program knows " +
                                      std::to_string(tables.size()) + " of them");
}

unsigned flags_of(Table table) { return has_number_keys(table) ? unsigned{MDB_INTEGERKEY} : 0U; }

/// The directory of another version may have other tables; its identity is where it always was.
Result<void> check_format_of(MDB_txn* txn) {
  MDB_dbi meta = 0;
  if (mdb_dbi_open(txn, "meta", MDB_INTEGERKEY, &meta) != 0) return {};
  std::uint64_t key = kIdentityKey;
  MDB_val key_val{sizeof key, &key};
  MDB_val value{};
  if (mdb_get(txn, meta, &key_val, &value) != 0) return {};
  auto known = check_format(to_span(value));
  if (!known && known.error().code == Errc::newer_format) return known;
  return {};
}

/// Looks at an environment before anything is made in it: it has all of Stele's tables, or nothing
/// at all, as a first start leaves it that was killed.
Result<void> check_tables(const std::string& directory, const std::string& file,
                          const std::vector<SectionTable>& tables) {
  std::error_code none;
  if (std::filesystem::file_size(file, none) == 0 || none) return {};
  MDB_env* env = nullptr;
  int code = mdb_env_create(&env);
  if (code != 0) return lmdb_error(code, "cannot create an LMDB environment");
  const std::unique_ptr<MDB_env, void (*)(MDB_env*)> closes(env, &mdb_env_close);
  mdb_env_set_maxdbs(env, kTablesEnd);
  // Nobody else has it open: the directory is locked.
  code = mdb_env_open(env, directory.c_str(), MDB_RDONLY | MDB_NOLOCK, 0640);
  if (code == MDB_INVALID || code == MDB_VERSION_MISMATCH) {
    return no_store(file, mdb_strerror(code));
  }
  if (code != 0) return lmdb_error(code, ("cannot open " + file).c_str());
  MDB_txn* txn = nullptr;
  code = mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn);
  if (code != 0) return lmdb_error(code, "cannot begin a transaction");
  const std::unique_ptr<MDB_txn, void (*)(MDB_txn*)> aborts(txn, &mdb_txn_abort);
  MDB_dbi names = 0;
  MDB_stat stat{};
  code = mdb_dbi_open(txn, nullptr, 0, &names);
  if (code == 0) code = mdb_stat(txn, names, &stat);
  if (code != 0) return lmdb_error(code, ("cannot read " + file).c_str());
  if (stat.ms_entries == 0) return {};
  if (auto known = check_format_of(txn); !known) return known;
  for (const SectionTable& table : tables) {
    MDB_dbi dbi = 0;
    code = mdb_dbi_open(txn, table.name.c_str(), flags_of(table.table), &dbi);
    if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE) {
      return no_store(file, "it has no table " + table.name);
    }
    if (code != 0) return lmdb_error(code, "cannot open a table");
  }
  return check_no_others(stat, tables, file);
}

using LastChanges = std::array<std::unordered_map<std::string_view, const std::byte*>, kTablesEnd>;

std::string_view as_text(TableKey key) {
  const auto bytes = key.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Where the last change of each row of a section begins: a thousand clients change their sessions
/// in every slot, and only what the last change leaves counts.
Result<LastChanges> last_changes(std::span<const std::byte> redo) {
  LastChanges last;
  while (!redo.empty()) {
    const std::byte* at = redo.data();
    const auto change = next_change(redo);
    if (!change) return forward(change);
    if (!has_number_keys(change->table)) {
      last[static_cast<std::size_t>(change->table)][as_text(change->key)] = at;
    }
  }
  return last;
}

}  // namespace

Lmdb::~Lmdb() {
  if (env_ != nullptr) mdb_env_close(env_);
}

Lmdb::Lmdb(Lmdb&& other) noexcept
    : env_(std::exchange(other.env_, nullptr)), tables_(other.tables_) {}

Lmdb& Lmdb::operator=(Lmdb&& other) noexcept {
  std::swap(env_, other.env_);
  tables_ = other.tables_;
  return *this;
}

Result<Lmdb> Lmdb::open(const std::string& directory, const Options& options) {
  const std::string file = directory + "/data.mdb";
  const std::vector<SectionTable> tables = all_tables(options.sections);
  if (const auto known = check_tables(directory, file, tables); !known) return forward(known);
  std::error_code none;
  const bool fresh = std::filesystem::file_size(file, none) == 0 || none;
  Lmdb lmdb;
  int code = mdb_env_create(&lmdb.env_);
  if (code != 0) return lmdb_error(code, "cannot create an LMDB environment");
  mdb_env_set_maxdbs(lmdb.env_, kTablesEnd);
  mdb_env_set_maxreaders(lmdb.env_, 126);
  code = mdb_env_set_mapsize(lmdb.env_, options.map_bytes);
  if (code != 0) return lmdb_error(code, "cannot set the size of the map");
  // Nobody else has it open: the directory is locked, or nobody can write there.
  const unsigned flags = MDB_NOTLS | (options.read_only ? MDB_RDONLY | MDB_NOLOCK : 0U);
  code = mdb_env_open(lmdb.env_, directory.c_str(), flags, 0640);
  if (code == MDB_INVALID || code == MDB_VERSION_MISMATCH) {
    return no_store(file, mdb_strerror(code));
  }
  // A half of its first pages, on a full disk, is no store for the next start.
  if (code != 0 && fresh && !options.read_only) std::filesystem::remove(file, none);
  if (code == ENOMEM) {
    return fail(Errc::invalid_argument,
                "the system does not let this process map " + std::to_string(options.map_bytes) +
                    " bytes of " + file + " (ulimit -v): allow more, or less --disk-bytes-max");
  }
  if (code != 0) return lmdb_error(code, ("cannot open " + file).c_str());
  int descriptor = -1;
  if (mdb_env_get_fd(lmdb.env_, &descriptor) == 0) ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);

  auto txn = lmdb.begin(!options.read_only);
  if (!txn) return forward(txn);
  for (const SectionTable& table : tables) {
    const unsigned create = options.read_only ? 0U : unsigned{MDB_CREATE};
    MDB_dbi& dbi = lmdb.tables_.at(static_cast<std::size_t>(table.table));
    code = mdb_dbi_open(txn->txn_, table.name.c_str(), flags_of(table.table) | create, &dbi);
    if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE) {
      return no_store(file, "it has no table " + table.name);
    }
    if (code != 0) return lmdb_error(code, "cannot open a table");
  }
  MDB_dbi names = 0;
  MDB_stat stat{};
  code = mdb_dbi_open(txn->txn_, nullptr, 0, &names);
  if (code == 0) code = mdb_stat(txn->txn_, names, &stat);
  if (code != 0) return lmdb_error(code, ("cannot read " + file).c_str());
  if (const auto known = check_no_others(stat, tables, file); !known) return forward(known);
  if (const auto committed = txn->commit(); !committed) {
    return forward(committed);
  }
  if (options.read_only) return lmdb;

  // A vote that a killed process left in the page cache must be durable before it is repeated.
  if (const auto synced = lmdb.sync(); !synced) return forward(synced);
  // LMDB syncs data, never the directory that names it; nor may the process that made it have come
  // so far.
  const auto parent = std::filesystem::absolute(directory).parent_path().string();
  for (const std::string& path : {file, directory, parent}) {
    if (const auto synced = sync_path(path); !synced) return forward(synced);
  }
  return lmdb;
}

Result<Lmdb::Txn> Lmdb::begin(bool write) const {
  MDB_txn* txn = nullptr;
  const int code = mdb_txn_begin(env_, nullptr, write ? 0U : unsigned{MDB_RDONLY}, &txn);
  if (code != 0) return lmdb_error(code, "cannot begin a transaction");
  return Txn(*this, txn);
}

Result<void> Lmdb::sync() {
  const int code = mdb_env_sync(env_, 1);
  // Not to be tried again, whatever the reason.
  if (code != 0) return fail(Errc::io, std::string("cannot sync the store: ") + mdb_strerror(code));
  return {};
}

std::uint64_t Lmdb::used_bytes() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  if (mdb_env_info(env_, &info) != 0 || mdb_env_stat(env_, &stat) != 0) return 0;
  return (std::uint64_t{info.me_last_pgno} + 1) * stat.ms_psize;
}

Lmdb::Txn::~Txn() {
  if (txn_ != nullptr) mdb_txn_abort(txn_);
}

Lmdb::Txn::Txn(Txn&& other) noexcept
    : lmdb_(other.lmdb_), txn_(std::exchange(other.txn_, nullptr)) {}

Result<std::optional<std::span<const std::byte>>> Lmdb::Txn::get(Table table, TableKey key) {
  MDB_val key_val = to_val(key.bytes());
  MDB_val value{};
  const int code = mdb_get(txn_, lmdb_->dbi(table), &key_val, &value);
  if (code == MDB_NOTFOUND) return std::optional<std::span<const std::byte>>();
  if (code != 0) return lmdb_error(code, "cannot read a record");
  return std::optional(to_span(value));
}

Result<void> Lmdb::Txn::put(Table table, TableKey key, std::span<const std::byte> value) {
  MDB_val key_val = to_val(key.bytes());
  MDB_val value_val = to_val(value);
  const int code = mdb_put(txn_, lmdb_->dbi(table), &key_val, &value_val, 0);
  if (code != 0) return lmdb_error(code, "cannot write a record");
  return {};
}

Result<std::span<std::byte>> Lmdb::Txn::reserve(Table table, TableKey key, std::size_t bytes) {
  MDB_val key_val = to_val(key.bytes());
  MDB_val value{bytes, nullptr};
  const int code = mdb_put(txn_, lmdb_->dbi(table), &key_val, &value, MDB_RESERVE);
  if (code != 0) return lmdb_error(code, "cannot write a record");
  return std::span(static_cast<std::byte*>(value.mv_data), bytes);
}

Result<void> Lmdb::Txn::erase(Table table, TableKey key) {
  MDB_val key_val = to_val(key.bytes());
  const int code = mdb_del(txn_, lmdb_->dbi(table), &key_val, nullptr);
  if (code != 0 && code != MDB_NOTFOUND) return lmdb_error(code, "cannot delete a record");
  return {};
}

Result<void> Lmdb::Txn::erase_range(Table table, std::uint64_t begin, std::uint64_t end) {
  Cursor cursor(*this, table);
  for (bool found = cursor.seek(begin); found && cursor.key() < end; found = cursor.next()) {
    if (!cursor.erase()) break;
  }
  return cursor.status();
}

Result<void> Lmdb::Txn::commit() {
  const int code = mdb_txn_commit(std::exchange(txn_, nullptr));
  if (code != 0) return lmdb_error(code, "cannot commit");
  return {};
}

Lmdb::Cursor::Cursor(Txn& txn, Table table) {
  const int code = mdb_cursor_open(txn.txn_, txn.lmdb_->dbi(table), &cursor_);
  if (code != 0) status_ = lmdb_error(code, "cannot open a cursor");
}

Lmdb::Cursor::~Cursor() {
  if (cursor_ != nullptr) mdb_cursor_close(cursor_);
}

bool Lmdb::Cursor::move(int operation, TableKey key) {
  if (cursor_ == nullptr) return false;
  MDB_val key_val = to_val(key.bytes());
  MDB_val value{};
  const int code = mdb_cursor_get(cursor_, &key_val, &value, static_cast<MDB_cursor_op>(operation));
  if (code == MDB_NOTFOUND) return false;
  if (code != 0) {
    status_ = lmdb_error(code, "cannot read a record");
    return false;
  }
  key_ = to_span(key_val);
  value_ = to_span(value);
  return true;
}

bool Lmdb::Cursor::first() { return move(MDB_FIRST, 0); }

bool Lmdb::Cursor::last() { return move(MDB_LAST, 0); }

bool Lmdb::Cursor::seek(TableKey key) { return move(MDB_SET_RANGE, key); }

bool Lmdb::Cursor::seek_last_at(std::uint64_t at) {
  if (!move(MDB_SET_RANGE, at)) return status_ && move(MDB_LAST, 0);
  return key() == at || move(MDB_PREV, 0);
}

bool Lmdb::Cursor::next() { return move(MDB_NEXT, 0); }

bool Lmdb::Cursor::erase() {
  const int code = mdb_cursor_del(cursor_, 0);
  if (code != 0) status_ = lmdb_error(code, "cannot delete a record");
  return code == 0;
}

std::uint64_t Lmdb::Cursor::key() const { return ByteReader(key_).get<std::uint64_t>(); }

namespace {

Result<void> make_change(const Change& change, Lmdb::Txn& txn) {
  switch (change.kind) {
    case Change::Kind::put: return txn.put(change.table, change.key, change.value);
    case Change::Kind::erase: return txn.erase(change.table, change.key);
    case Change::Kind::erase_range:
      return txn.erase_range(change.table, change.key.number(), change.range_end);
  }
  return {};
}

}  // namespace

Result<void> apply_redo(std::span<const std::byte> redo, Lmdb::Txn& txn) {
  const auto last = last_changes(redo);
  if (!last) return forward(last);
  while (!redo.empty()) {
    const std::byte* at = redo.data();
    const auto change = next_change(redo);
    if (!change) return forward(change);
    if (!txn.has(change->table)) {
      return fail(Errc::newer_format, "the journal holds a change of table " +
                                          std::to_string(static_cast<unsigned>(change->table)) +
                                          ", which this program does not know");
    }
    if (!has_number_keys(change->table) &&
        last->at(static_cast<std::size_t>(change->table)).at(as_text(change->key)) != at)
      continue;
    if (auto done = make_change(*change, txn); !done) return done;
  }
  return {};
}

}  // namespace stele::log

#include "ingest/formats/parquet_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ingest/formats/thrift_reader.h"

namespace longhaul::ingest {

namespace {

using Type = ThriftReader::Type;

constexpr std::size_t kMaxSchemaDepth = 64, kMaxColumns = 65'536, kMaxPathBytes = 4'096;
constexpr int kRequired = 0, kRepeated = 2;  // FieldRepetitionType
constexpr int kConvertedUtf8 = 0, kConvertedEnum = 4, kConvertedJson = 19;
constexpr int kFirstUnsigned = 11, kLastSigned = 18;  // UINT_8 … INT_64
constexpr int kLogicalString = 1, kLogicalEnum = 4, kLogicalInteger = 10, kLogicalJson = 12;

template <std::size_t N>
std::string name_or_number(const std::array<std::string_view, N>& names, int number) {
  const bool known = number >= 0 && static_cast<std::size_t>(number) < N && !names[static_cast<std::size_t>(number)].empty();
  return known ? std::string(names[static_cast<std::size_t>(number)]) : fmt::format("number {}", number);
}

constexpr std::array<std::string_view, 8> kTypes = {"BOOLEAN", "INT32",  "INT64",      "INT96",
                                                    "FLOAT",   "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"};
constexpr std::array<std::string_view, 22> kConvertedTypes = {"UTF8",
                                                              "MAP",
                                                              "MAP_KEY_VALUE",
                                                              "LIST",
                                                              "ENUM",
                                                              "DECIMAL",
                                                              "DATE",
                                                              "TIME_MILLIS",
                                                              "TIME_MICROS",
                                                              "TIMESTAMP_MILLIS",
                                                              "TIMESTAMP_MICROS",
                                                              "UINT_8",
                                                              "UINT_16",
                                                              "UINT_32",
                                                              "UINT_64",
                                                              "INT_8",
                                                              "INT_16",
                                                              "INT_32",
                                                              "INT_64",
                                                              "JSON",
                                                              "BSON",
                                                              "INTERVAL"};
constexpr std::array<std::string_view, 16> kLogicalTypes = {"",     "STRING", "MAP",       "LIST",   "ENUM",    "DECIMAL",
                                                            "DATE", "TIME",   "TIMESTAMP", "",       "INTEGER", "UNKNOWN",
                                                            "JSON", "BSON",   "UUID",      "FLOAT16"};

/// A node of the schema, as the footer lists them: depth first, with the number of children of each.
struct SchemaNode {
  std::string name;
  int type = -1, repetition = kRequired, converted = -1, logical = 0;
  std::int64_t children = 0;
};

SchemaNode read_node(ThriftReader& thrift) {
  SchemaNode node;
  thrift.read_struct([&](int id, Type type) {
    const auto small = [&] { return static_cast<int>(thrift.integer(type)); };
    if (id == 1)
      node.type = small();
    else if (id == 3)
      node.repetition = small();
    else if (id == 4)
      node.name = thrift.binary(type);
    else if (id == 5)
      node.children = thrift.integer(type);
    else if (id == 6)
      node.converted = small();
    else if (id == 10 && thrift.is_struct(type))
      thrift.read_struct([&](int member, Type inner) {
        node.logical = member;
        thrift.skip(inner);
      });
    else
      thrift.skip(type);
  });
  return node;
}

/// The leaves of a schema. False when its counts of children do not add up.
bool collect_columns(const std::vector<SchemaNode>& nodes, std::vector<ParquetColumn>& columns) {
  struct Open {
    std::int64_t children;
    std::string path;
    unsigned level;
    bool repeated;
  };
  if (nodes.empty()) return false;
  std::vector<Open> open{{nodes[0].children, "", 0, false}};
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    while (!open.empty() && open.back().children == 0) open.pop_back();
    if (open.empty() || open.size() > kMaxSchemaDepth) return false;
    --open.back().children;
    const SchemaNode& node = nodes[i];
    const Open& above = open.back();
    Open here{node.children, above.path.empty() ? node.name : above.path + "." + node.name, above.level + (node.repetition != kRequired),
              above.repeated || node.repetition == kRepeated};
    if (here.path.size() > kMaxPathBytes) return false;
    if (node.type < 0) {  // a struct
      open.push_back(std::move(here));
      continue;
    }
    if (node.type >= static_cast<int>(kTypes.size()) || node.children != 0 || columns.size() == kMaxColumns) return false;
    columns.push_back({here.path, static_cast<ParquetType>(node.type), node.converted, node.logical, here.level, here.repeated});
  }
  return std::all_of(open.begin(), open.end(), [](const Open& left) { return left.children == 0; });
}

void read_column_metadata(ThriftReader& thrift, ParquetChunk& chunk) {
  std::int64_t data = kAbsent, dictionary = kAbsent;
  thrift.read_struct([&](int id, Type type) {
    if (id == 4)
      chunk.codec = static_cast<int>(thrift.integer(type));
    else if (id == 5)
      chunk.values = thrift.integer(type);
    else if (id == 7)
      chunk.bytes = thrift.integer(type);
    else if (id == 9)
      data = thrift.integer(type);
    else if (id == 11)
      dictionary = thrift.integer(type);
    else
      thrift.skip(type);
  });
  // Some writers say 0 where there is no dictionary.
  chunk.offset = dictionary > 0 && dictionary < data ? dictionary : data;
}

ParquetChunk read_chunk(ThriftReader& thrift) {
  ParquetChunk chunk;
  bool described = false;
  thrift.read_struct([&](int id, Type type) {
    if (id == 1)
      chunk.elsewhere = !thrift.binary(type).empty();
    else if (id == 3 && thrift.is_struct(type)) {
      read_column_metadata(thrift, chunk);
      described = true;
    } else {
      chunk.encrypted = chunk.encrypted || id == 8;
      thrift.skip(type);
    }
  });
  chunk.encrypted = chunk.encrypted || !described;  // metadata of a column with a key of its own are encrypted too
  return chunk;
}

}  // namespace

bool ParquetColumn::is_text() const {
  return type == ParquetType::byte_array &&
         (logical == 0 || logical == kLogicalString || logical == kLogicalEnum || logical == kLogicalJson) &&
         (converted == -1 || converted == kConvertedUtf8 || converted == kConvertedEnum || converted == kConvertedJson);
}

bool ParquetColumn::is_plain() const {
  if (is_text()) return true;
  const bool plain_number =
      (converted == -1 || (converted >= kFirstUnsigned && converted <= kLastSigned)) && (logical == 0 || logical == kLogicalInteger);
  return plain_number && type != ParquetType::int96 && type != ParquetType::byte_array && type != ParquetType::fixed_byte_array;
}

std::string ParquetColumn::description() const {
  const std::string meaning = logical != 0     ? name_or_number(kLogicalTypes, logical)
                              : converted >= 0 ? name_or_number(kConvertedTypes, converted)
                                               : "";
  return fmt::format("{}{}{}", repeated ? "a list of " : "", kTypes[static_cast<std::size_t>(type)],
                     meaning.empty() ? "" : " (" + meaning + ")");
}

std::optional<ParquetSchema> read_parquet_schema(std::string_view footer) {
  ThriftReader thrift(footer);
  ParquetSchema schema;
  std::vector<SchemaNode> nodes;
  thrift.read_struct([&](int id, Type type) {
    if (id == 2)
      thrift.read_list(type, [&](Type inner) {
        if (thrift.is_struct(inner)) nodes.push_back(read_node(thrift));
      });
    else if (id == 3)
      schema.rows = thrift.integer(type);
    else {
      schema.encrypted = schema.encrypted || id == 8;
      thrift.skip(type);
    }
  });
  if (!thrift.good() || schema.rows < 0 || !collect_columns(nodes, schema.columns)) return std::nullopt;
  return schema;
}

std::optional<std::vector<ParquetRowGroup>> read_parquet_row_groups(std::string_view footer, const std::vector<std::size_t>& columns) {
  ThriftReader thrift(footer);
  std::vector<ParquetRowGroup> groups;
  const auto read_group = [&] {
    ParquetRowGroup group;
    std::size_t index = 0;
    thrift.read_struct([&](int id, Type type) {
      if (id == 1)
        thrift.read_list(type, [&](Type inner) {
          const bool wanted = std::binary_search(columns.begin(), columns.end(), index++);
          if (wanted && thrift.is_struct(inner))
            group.chunks.push_back(read_chunk(thrift));
          else
            thrift.skip(inner);
        });
      else if (id == 3)
        group.rows = thrift.integer(type);
      else
        thrift.skip(type);
    });
    return group;
  };
  bool whole = true;
  thrift.read_struct([&](int id, Type type) {
    if (id != 4) return thrift.skip(type);
    thrift.read_list(type, [&](Type inner) {
      if (!thrift.is_struct(inner)) return;
      groups.push_back(read_group());
      whole = whole && groups.back().chunks.size() == columns.size() && groups.back().rows >= 0;
    });
  });
  if (!thrift.good() || !whole) return std::nullopt;
  return groups;
}

std::optional<ParquetPage> read_parquet_page(std::string_view bytes, bool& ran_out) {
  ThriftReader thrift(bytes);
  ParquetPage page;
  const auto read_header = [&](bool v2) {
    thrift.read_struct([&](int id, Type type) {
      if (id == 1)
        page.values = thrift.integer(type);
      else if (id == (v2 ? 4 : 2))
        page.encoding = static_cast<int>(thrift.integer(type));
      else if (id == 3 && !v2 && type == Type::i32)
        page.level_encoding = static_cast<int>(thrift.integer(type));
      else if (id == 5 && v2)
        page.level_bytes = thrift.integer(type);
      else if (id == 6 && v2)
        page.repetition_bytes = thrift.integer(type);
      else if (id == 7 && v2)
        page.compressed = thrift.boolean(type);
      else
        thrift.skip(type);
    });
  };
  thrift.read_struct([&](int id, Type type) {
    if (id == 1)
      page.kind = static_cast<int>(thrift.integer(type));
    else if (id == 2)
      page.bytes = thrift.integer(type);
    else if (id == 3)
      page.compressed_bytes = thrift.integer(type);
    else if (id == 4)
      page.crc = static_cast<std::uint32_t>(thrift.integer(type));
    else if ((id == 5 || id == 7 || id == 8) && thrift.is_struct(type))
      read_header(id == 8);
    else
      thrift.skip(type);
  });
  ran_out = thrift.ran_out();
  page.header_bytes = thrift.position();
  if (!thrift.good()) return std::nullopt;
  return page;
}

std::string parquet_codec_name(int codec) {
  static constexpr std::array<std::string_view, 8> kNames = {"UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW"};
  return name_or_number(kNames, codec);
}

std::string parquet_encoding_name(int encoding) {
  static constexpr std::array<std::string_view, 10> kNames = {"PLAIN",
                                                              "",
                                                              "PLAIN_DICTIONARY",
                                                              "RLE",
                                                              "BIT_PACKED",
                                                              "DELTA_BINARY_PACKED",
                                                              "DELTA_LENGTH_BYTE_ARRAY",
                                                              "DELTA_BYTE_ARRAY",
                                                              "RLE_DICTIONARY",
                                                              "BYTE_STREAM_SPLIT"};
  return name_or_number(kNames, encoding);
}

}  // namespace longhaul::ingest

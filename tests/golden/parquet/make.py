#!/usr/bin/env python3
"""Makes the Parquet files of this folder (needs: pip install pyarrow polars duckdb) and rows.jsonl, the rows that all of them hold.

The C++ tests read every *.parquet here but those of `refused` and compare text and metadata with rows.jsonl, read as JSON lines. The
files differ in what a reader has to tell apart: version of pages, encoding, compression, row groups, checksums, writer.
"""
import json
import pathlib

import duckdb
import polars
import pyarrow
import pyarrow.parquet as parquet

HERE = pathlib.Path(__file__).parent
ROWS = 60


def row(i):
    """Texts of several lengths, some null, some empty; two neighbours often begin alike and some come back."""
    text = None if i % 11 == 3 else "" if i % 13 == 5 else f"Row {i % 40}: " + "wörd " * (i % 7) + ("\n" if i % 5 else "…")
    return {
        "id": i * 1_000_003 - 5_000_000, "text": text, "url": None if i % 4 == 1 else f"https://example.org/{i % 9}", "small": i % 3 - 1,
        "score": None if i % 10 == 7 else i / 8 - 2, "ok": None if i % 6 == 4 else i % 2 == 0,
        "meta": None if i % 17 == 2 else {"lang": "de" if i % 3 else None, "deep": {"note": f"note {i}"}},
    }


def table(rows):
    struct = pyarrow.struct([("lang", pyarrow.string()), ("deep", pyarrow.struct([pyarrow.field("note", pyarrow.string(), nullable=False)]))])
    schema = pyarrow.schema([pyarrow.field("id", pyarrow.int64(), nullable=False), ("text", pyarrow.string()), ("url", pyarrow.string()),
                             ("small", pyarrow.int32()), ("score", pyarrow.float64()), ("ok", pyarrow.bool_()), ("meta", struct)])
    return pyarrow.Table.from_pylist(rows, schema=schema)


TEXTS = ["text", "url", "meta.lang", "meta.deep.note"]
NUMBERS = ["id", "small"]
VARIANTS = {
    "plain_v1": dict(use_dictionary=False, compression="none"),
    "plain_v2_snappy_pages": dict(use_dictionary=False, compression="snappy", data_page_version="2.0", data_page_size=64, write_batch_size=7),
    "dictionary_v1_snappy": dict(compression="snappy"),
    "dictionary_v2_zstd_groups_checksums": dict(compression="zstd", data_page_version="2.0", row_group_size=17, write_page_checksum=True),
    "delta_length_v2_gzip": dict(use_dictionary=False, compression="gzip", data_page_version="2.0",
                                 column_encoding={**{c: "DELTA_LENGTH_BYTE_ARRAY" for c in TEXTS}, **{c: "DELTA_BINARY_PACKED" for c in NUMBERS}}),
    "delta_byte_v1_zstd_groups": dict(use_dictionary=False, compression="zstd", row_group_size=23, write_page_index=True,
                                      column_encoding={**{c: "DELTA_BYTE_ARRAY" for c in TEXTS}, "ok": "RLE"}),
}


def main():
    rows = [row(i) for i in range(ROWS)]
    (HERE / "rows.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    whole = table(rows)
    for name, options in VARIANTS.items():
        parquet.write_table(whole, HERE / f"{name}.parquet", **options)
    polars.from_arrow(whole).write_parquet(HERE / "polars.parquet", compression="zstd", row_group_size=25)
    duckdb.from_arrow(whole).write_parquet(str(HERE / "duckdb.parquet"))

    refused = HERE / "refused"
    refused.mkdir(exist_ok=True)
    few = whole.slice(0, 3)
    for codec in ("brotli", "lz4"):
        parquet.write_table(few.select(["text"]), refused / f"{codec}.parquet", compression=codec)
    other = {"text": ["a"], "list": [["a"]], "when": pyarrow.array([1], pyarrow.timestamp("ms")), "sum": pyarrow.array([1], pyarrow.decimal128(5, 2)),
             "number": [1], "hash": pyarrow.array([b"1234"], pyarrow.binary(4)), "pairs": pyarrow.array([[("a", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int64()))}
    parquet.write_table(pyarrow.table(other), refused / "types.parquet", compression="none")
    parquet.write_table(pyarrow.table({"text": ["a"], "score": pyarrow.array([1.0], pyarrow.float32())}), refused / "encoding.parquet",
                        use_dictionary=False, column_encoding={"score": "BYTE_STREAM_SPLIT"})


if __name__ == "__main__":
    main()

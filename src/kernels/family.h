// kernels/family.h — one source, three instruction sets: how a kernel is compiled per family and chosen at run time.
//
// To add a kernel: (1) write its body in x_family.cpp with kernels/vectors/simd.h inside `namespace longhaul::kernels::LONGHAUL_FAMILY`,
// helpers in an unnamed namespace, ending in `extern const XTable x_table = {…};`, and list the file in FAMILY_SOURCES; (2) in x_family.h
// declare the struct of function pointers and `LONGHAUL_FAMILY_TABLE(XTable, x_table)`; x.cpp calls `LONGHAUL_FAMILY_SELECT(context.family,
// x_table)`.
//
// Why so strict: an inline function or std:: template in an AVX-512 object is a weak symbol that the linker may keep for everyone, and
// an older processor would meet it. Family code therefore uses raw pointers and functions of internal linkage only
// (family_symbols_test looks), and takes no inline function from other headers.
#pragma once

#include "kernels/context.h"

/// Declares the table `name` of `Type` that each family's object defines.
#define LONGHAUL_FAMILY_TABLE(Type, name) \
  namespace avx2 {                        \
  extern const Type name;                 \
  }                                       \
  namespace avx512 {                      \
  extern const Type name;                 \
  }                                       \
  namespace avx512_bf16 {                 \
  extern const Type name;                 \
  }

/// The table of `family`.
#define LONGHAUL_FAMILY_SELECT(family, name) (::longhaul::kernels::select_family((family), avx2::name, avx512::name, avx512_bf16::name))

namespace longhaul::kernels {

template <typename Table>
const Table& select_family(Family family, const Table& avx2_table, const Table& avx512_table, const Table& avx512_bf16_table) {
  switch (family) {
    case Family::avx512_bf16:
      return avx512_bf16_table;
    case Family::avx512:
      return avx512_table;
    case Family::avx2:
      break;
  }
  return avx2_table;
}

}  // namespace longhaul::kernels

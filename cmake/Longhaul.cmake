# Build rules shared by every room: language, warnings, sanitizers, and longhaul_room() which declares a library and its tests.

option(LONGHAUL_TESTS "Build unit and whole-command tests" ON)
option(LONGHAUL_BENCH "Build the programs in bench/ (gemm_bench needs oneDNN)" ON)
option(LONGHAUL_FUZZERS "Build the libFuzzer programs of tests/fuzz (clang only; see tools/fuzz)" OFF)
set(LONGHAUL_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize= (address,undefined | thread | fuzzer,address)")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

# Everything runs on any x86-64-v3; faster instruction sets are chosen at run time inside src/kernels.
# Contractions are written, never left to the compiler (numerics contract): -ffp-contract=off, and no -ffast-math anywhere.
add_compile_options(-march=x86-64-v3 -ffp-contract=off -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
# Paths in __FILE__ (assertions, GoogleTest) are relative to the source tree: batches (longhaul_unity) name their sources by absolute path,
# and ccache would otherwise find nothing that another clone has compiled.
add_compile_options(-fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)
# g++ is the compiler of record; clang (fuzzers, clang-tidy) warns of other things in other versions, and g++ itself of other things in
# code that a sanitizer has instrumented.
if(NOT LONGHAUL_SANITIZE)
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Werror>)
endif()
# No debug information in Release: line tables alone are a sixth of the compiling time and five sixths of the objects. For a debugger:
# the preset debug. The sanitizers need lines for their reports; -O1 is the least that their manual advises.
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")
if(LONGHAUL_SANITIZE)
  add_compile_options(-fsanitize=${LONGHAUL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LONGHAUL_SANITIZE})
endif()

# longhaul_cold(TARGET): code that runs a few times a step at most is compiled with -O1, in three quarters of the time of -O2. No result
# depends on the level: contraction and reassociation are off at each (-ffp-contract=off, no -ffast-math).
function(longhaul_cold target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# longhaul_unity(TARGET): its sources are compiled in batches, so that the standard library's and GoogleTest's headers, most of what the
# compiler reads, are read once a batch. A change of one source compiles its batch; a batch is small enough for that to take seconds.
set(LONGHAUL_UNITY_BATCH 6 CACHE STRING "Sources compiled together; 1 compiles each alone")
function(longhaul_unity target)
  if(LONGHAUL_UNITY_BATCH GREATER 1)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${LONGHAUL_UNITY_BATCH})
    # A batch includes its sources, and g++ takes what is included for a header, where types of an anonymous namespace would be a mistake.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  endif()
endfunction()

# Tests that read files of the source tree (golden files, examples) link this one object. A compile definition with the clone's path in it
# would keep ccache from finding what another clone has compiled.
function(longhaul_source_tree)
  configure_file(${CMAKE_SOURCE_DIR}/tests/source_tree.cpp.in ${CMAKE_BINARY_DIR}/source_tree.cpp @ONLY)
  add_library(longhaul_source_tree STATIC ${CMAKE_BINARY_DIR}/source_tree.cpp)
  target_include_directories(longhaul_source_tree PUBLIC ${CMAKE_SOURCE_DIR})
endfunction()

# longhaul_room(NAME [HOT] [ALONE] [SOURCES …] [TESTS …] [DEPENDS …])
#   library longhaul_NAME (alias longhaul::NAME) from SOURCES, linked publicly to DEPENDS; executable NAME_test from TESTS, run by ctest.
#   HOT: its loops run over every token or element, so it is compiled with -O2; other rooms are cold.
#   ALONE: each source is compiled alone.
function(longhaul_room name)
  cmake_parse_arguments(ROOM "HOT;ALONE" "" "SOURCES;TESTS;DEPENDS" ${ARGN})
  add_library(longhaul_${name} STATIC ${ROOM_SOURCES})
  add_library(longhaul::${name} ALIAS longhaul_${name})
  target_include_directories(longhaul_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(longhaul_${name} PUBLIC ${ROOM_DEPENDS} Threads::Threads)
  if(NOT ROOM_ALONE)
    longhaul_unity(longhaul_${name})
  endif()
  if(NOT ROOM_HOT)
    longhaul_cold(longhaul_${name})
  endif()
  if(LONGHAUL_TESTS AND ROOM_TESTS)
    add_executable(${name}_test ${ROOM_TESTS})
    target_link_libraries(${name}_test PRIVATE longhaul::${name} longhaul_source_tree GTest::gtest GTest::gtest_main)
    if(NOT ROOM_ALONE)
      longhaul_unity(${name}_test)
    endif()
    if(NOT ROOM_HOT)
      longhaul_cold(${name}_test)
    endif()
    add_test(NAME ${name}_test COMMAND ${name}_test)
    set_tests_properties(${name}_test PROPERTIES LABELS unit)
    set_property(GLOBAL APPEND PROPERTY LONGHAUL_UNIT_TESTS ${name}_test)
  endif()
endfunction()

// units/testing.h — a helper for tests of error messages.
#pragma once

#include <string>

#include "units/error.h"

namespace longhaul::testing {

/// The message of the UsageError that an action throws; empty where it throws none.
template <class Action>
std::string usage_error(Action action) {
  try {
    action();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

}  // namespace longhaul::testing

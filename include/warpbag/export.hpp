// SPDX-License-Identifier: Apache-2.0
#pragma once
// Symbols are hidden unless marked, so that the shared library exports its interface and nothing
// else.

#if defined(__GNUC__)
#define WARPBAG_EXPORT __attribute__((visibility("default")))
#else
#define WARPBAG_EXPORT
#endif

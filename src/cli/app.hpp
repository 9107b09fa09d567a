// SPDX-License-Identifier: Apache-2.0
#pragma once
// CLI11's command by name: its header costs seconds in every file that includes it, and most need
// none of it.

namespace CLI {
class App;
}

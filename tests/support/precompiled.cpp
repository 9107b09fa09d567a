// SPDX-License-Identifier: Apache-2.0
// Nothing: the program whose precompiled header the tests use.
int main() {}

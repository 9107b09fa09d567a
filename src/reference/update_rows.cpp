// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "reference/lookups.hpp"
#include "reference/reference.hpp"

namespace warpbag::reference {

using operations::table_record;

namespace {

estimate number(float x) { return exactly(static_cast<double>(x)); }

/// The options as numbers, and what a step computes once.
struct step_numbers {
  estimate learning_rate, momentum, beta1, beta2, eps, decay, l1, l2, ftrl_beta;
  estimate first_correction;   // 1 / (1 - beta1^t)
  estimate second_correction;  // 1 / sqrt(1 - beta2^t)
};

step_numbers numbers_of(const table_record& table) {
  const optimizer_options& o = table.optimizer;
  const double t = static_cast<double>(table.step->step + 1);
  const double power1 = std::pow(static_cast<double>(o.beta1), t);
  const double power2 = std::pow(static_cast<double>(o.beta2), t);
  return {number(table.step->learning_rate),
          number(o.momentum),
          number(o.beta1),
          number(o.beta2),
          number(o.eps),
          number(o.weight_decay),
          number(o.l1),
          number(o.l2),
          number(o.ftrl_beta),
          rounded(1.0 / (1.0 - power1), 0.0),
          rounded(1.0 / std::sqrt(1.0 - power2), 0.0)};
}

estimate average(estimate beta, estimate old, estimate next) {
  return beta * old + (exactly(1.0) - beta) * next;
}

estimate adam_direction(const step_numbers& n, estimate m, estimate v) {
  return m * n.first_correction / (square_root(v) * n.second_correction + n.eps);
}

estimate mean_square(const std::vector<estimate>& gradient) {
  any_order_sum squares;
  for (const estimate& g : gradient) squares.add(g * g);
  return squares.total() / exactly(static_cast<double>(gradient.size()));
}

estimate norm(const std::vector<estimate>& x) {
  any_order_sum squares;
  for (const estimate& element : x) squares.add(element * element);
  return square_root(squares.total());
}

std::vector<estimate> read_state(const table_record& table, int index, std::int64_t row) {
  std::vector<estimate> result;
  const state_shape shape = optimizer_state_shape(table.optimizer, index);
  if (shape == state_shape::absent) return result;
  const std::int64_t width = shape == state_shape::per_row ? 1 : table.dim;
  for (std::int64_t i = 0; i < width; ++i) {
    result.push_back(number(table.state[index][row * width + i]));
  }
  return result;
}

/// FTRL-Proximal (McMahan et al. 2013), per coordinate; state 0 is z, state 1 is n.
estimate ftrl_weight(const step_numbers& s, estimate weight, estimate gradient, estimate& z,
                     estimate& n) {
  const estimate old_root = square_root(n);
  n = n + gradient * gradient;
  const estimate root = square_root(n);
  const estimate sigma = (root - old_root) / s.learning_rate;
  z = z + gradient - sigma * weight;
  const estimate size = {std::abs(z.value), z.error};
  const estimate over = maximum(size - s.l1, exactly(0.0));
  // A coordinate that l1 holds at zero is zero even where the denominator is zero too.
  if (over.value == 0.0 && over.error == 0.0) return {};
  estimate shrunk = over / ((s.ftrl_beta + root) / s.learning_rate + s.l2);
  if (over.value == 0.0) shrunk.value = 0.0;
  return z.value > 0.0 ? -shrunk : shrunk;
}

void step_lamb(const optimizer_options& options, const step_numbers& n,
               const std::vector<estimate>& gradient, stepped_row& row) {
  std::vector<estimate> direction;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    row.state[0][i] = average(n.beta1, row.state[0][i], gradient[i]);
    row.state[1][i] = average(n.beta2, row.state[1][i], gradient[i] * gradient[i]);
    estimate u = adam_direction(n, row.state[0][i], row.state[1][i]);
    if (options.decay_mode == weight_decay_mode::decoupled) u = u + n.decay * row.weight[i];
    direction.push_back(u);
  }
  const estimate weight_norm = norm(row.weight);
  const estimate direction_norm = norm(direction);
  const bool both = weight_norm.value > 0.0 && direction_norm.value > 0.0;
  const estimate ratio = both ? weight_norm / direction_norm : exactly(1.0);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    row.weight[i] = row.weight[i] - n.learning_rate * ratio * direction[i];
  }
}

void step_element(const optimizer_options& options, const step_numbers& n, estimate gradient,
                  std::size_t i, stepped_row& row) {
  estimate& weight = row.weight[i];
  switch (options.kind) {
    case optimizer_kind::sgd:
      if (options.momentum != 0.0F) {
        row.state[0][i] = n.momentum * row.state[0][i] + gradient;
        gradient = row.state[0][i];
      }
      weight = weight - n.learning_rate * gradient;
      return;
    case optimizer_kind::adagrad:
      row.state[0][i] = row.state[0][i] + gradient * gradient;
      weight = weight - n.learning_rate * gradient / (square_root(row.state[0][i]) + n.eps);
      return;
    case optimizer_kind::rowwise_adagrad:
      weight = weight - n.learning_rate / (square_root(row.state[0][0]) + n.eps) * gradient;
      return;
    case optimizer_kind::adam:
    case optimizer_kind::adamw:
      row.state[0][i] = average(n.beta1, row.state[0][i], gradient);
      row.state[1][i] = average(n.beta2, row.state[1][i], gradient * gradient);
      weight = weight - n.learning_rate * adam_direction(n, row.state[0][i], row.state[1][i]);
      return;
    case optimizer_kind::partial_rowwise_adam:
      row.state[0][i] = average(n.beta1, row.state[0][i], gradient);
      weight = weight - n.learning_rate * adam_direction(n, row.state[0][i], row.state[1][0]);
      return;
    case optimizer_kind::ftrl:
      weight = ftrl_weight(n, weight, gradient, row.state[0][i], row.state[1][i]);
      return;
    case optimizer_kind::lamb: return;  // step_lamb
  }
}

stepped_row step_row(const table_record& table, const step_numbers& n, std::int64_t row,
                     std::vector<estimate> gradient) {
  const optimizer_options& options = table.optimizer;
  stepped_row result;
  for (std::int64_t column = 0; column < table.dim; ++column) {
    result.weight.push_back(
        exactly(element(table.rows, table.row_type, row * table.row_stride + column)));
  }
  for (int index = 0; index < 2; ++index) result.state[index] = read_state(table, index, row);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    if (options.decay_mode == weight_decay_mode::l2) {
      gradient[i] = gradient[i] + n.decay * result.weight[i];
    } else if (options.decay_mode == weight_decay_mode::decoupled &&
               options.kind != optimizer_kind::lamb) {
      result.weight[i] = result.weight[i] * (exactly(1.0) - n.learning_rate * n.decay);
    }
  }
  if (options.kind == optimizer_kind::rowwise_adagrad) {
    result.state[0][0] = result.state[0][0] + mean_square(gradient);
  } else if (options.kind == optimizer_kind::partial_rowwise_adam) {
    result.state[1][0] = average(n.beta2, result.state[1][0], mean_square(gradient));
  }
  if (options.kind == optimizer_kind::lamb) {
    step_lamb(options, n, gradient, result);
    return result;
  }
  for (std::size_t i = 0; i < gradient.size(); ++i)
    step_element(options, n, gradient[i], i, result);
  return result;
}

}  // namespace

std::map<std::int64_t, stepped_row> update_rows(
    const table_record& table, const std::map<std::int64_t, std::vector<estimate>>& gradients) {
  const step_numbers n = numbers_of(table);
  std::map<std::int64_t, stepped_row> result;
  for (const auto& [row, gradient] : gradients) result[row] = step_row(table, n, row, gradient);
  return result;
}

}  // namespace warpbag::reference

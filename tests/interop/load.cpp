// Loads a TorchScript model, reads float32 images [N, C, H, W] from a file and prints their logits.
#include <torch/script.h>

#include <fstream>
#include <iomanip>
#include <iostream>
#include <vector>

int main(int count, char** arguments) {
  if (count != 7) return 2;  // MODEL IMAGES N C H W
  torch::NoGradGuard no_grad;
  auto model = torch::jit::load(arguments[1]);
  std::vector<int64_t> size;
  for (int i = 3; i < 7; i++) size.push_back(std::stoll(arguments[i]));
  auto x = torch::empty(size);
  std::ifstream file(arguments[2], std::ios::binary);
  file.read(static_cast<char*>(x.data_ptr()), x.numel() * 4);
  if (!file) return 3;
  auto logits = model.forward({x}).toTensor().contiguous();
  std::cout << std::setprecision(9);
  for (int64_t i = 0; i < logits.numel(); i++) std::cout << logits.data_ptr<float>()[i] << "\n";
}

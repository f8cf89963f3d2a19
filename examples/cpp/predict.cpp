/* SPDX-License-Identifier: Apache-2.0 */
/* predict.cpp -- open a model, say what goes in and out, run it once on ones.
 *
 *   predict MODEL        MODEL: .onnx, .tflite or .ledge
 */
#include <ledge/ledge.hpp>

#include <algorithm>
#include <cstdio>
#include <vector>

namespace {

void describe(const char *role, const char *name, const ledge::Tensor &tensor)
{
    std::printf("%s %s %s [", role, name, ledge_dtype_text(tensor.dtype));
    const char *between = "";
    for (std::int64_t dim : tensor.shape()) {
        std::printf("%s%lld", between, static_cast<long long>(dim));
        between = "x";
    }
    std::printf("]");
}

/* Memory for an input, every element 1 (for f32) or every byte 1. */
std::vector<unsigned char> ones(const ledge::Tensor &tensor)
{
    std::vector<unsigned char> bytes(tensor.bytes, 1);
    if (tensor.dtype == LEDGE_F32) {
        float *floats = reinterpret_cast<float *>(bytes.data());
        std::fill(floats, floats + tensor.size(), 1.0f);
    }
    return bytes;
}

int fail(const ledge::Error &error)
{
    std::fprintf(stderr, "predict: %s\n", error.text());
    return 1;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 2) {
        std::fprintf(stderr, "usage: predict MODEL\n");
        return 2;
    }
    auto model = ledge::Model::open(argv[1]);
    if (!model) {
        return fail(model.error());
    }
    auto session = ledge::Session::open(*model);
    if (!session) {
        return fail(session.error());
    }
    std::vector<std::vector<unsigned char>> memory;
    std::vector<ledge::Tensor> inputs;
    for (std::int32_t i = 0; i < model->n_inputs(); i++) {
        ledge::Tensor input = session->input(i);
        describe("input", model->input(i).name, input);
        std::printf("\n");
        memory.push_back(ones(input));
        input.ledge_tensor::data = memory.back().data();
        inputs.push_back(input);
    }
    auto outputs = session->run({inputs.data(), inputs.size()});
    if (!outputs) {
        return fail(outputs.error());
    }
    for (std::size_t i = 0; i < outputs->size(); i++) {
        const ledge::Tensor &output = (*outputs)[i];
        describe("output", model->output(static_cast<std::int32_t>(i)).name, output);
        for (std::size_t k = 0; k < std::min<std::size_t>(output.values<float>().size(), 4); k++) {
            std::printf(" %g", static_cast<double>(output.values<float>()[k]));
        }
        std::printf("\n");
    }
    return 0;
}

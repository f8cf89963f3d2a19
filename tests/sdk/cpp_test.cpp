/* SPDX-License-Identifier: Apache-2.0 */
/* cpp_test.cpp -- ledge.hpp without exceptions: results, types, who closes what.
 *
 *   cpp_test MODEL        conv.onnx of fuzz/seeds: one f32 input x, one f32 output
 */
#include "ledge/ledge.hpp"

#include <cstdio>
#include <vector>

static int failed;

#define CHECK(truth)                                                                               \
    do {                                                                                           \
        if (!(truth)) {                                                                            \
            std::printf("cpp_test.cpp:%d: %s\n", __LINE__, #truth);                                \
            failed++;                                                                              \
        }                                                                                          \
    } while (0)

static_assert(ledge::dtype_of<float>() == LEDGE_F32);
static_assert(ledge::dtype_of<unsigned char>() == LEDGE_U8);
static_assert(ledge::dtype_of<std::int64_t>() == LEDGE_I64);
static_assert(ledge::dtype_of<bool>() == LEDGE_BOOL);
static_assert(ledge::dtype_of<void *>() == LEDGE_DTYPE_NONE);

static void failures_are_results()
{
    auto missing = ledge::Model::open("/nonexistent.onnx");
    CHECK(!missing);
    CHECK(missing.error().status() == LEDGE_ERR_NOT_FOUND);
    CHECK(std::strstr(missing.error().text(), "/nonexistent.onnx") != nullptr);
    auto garbage = ledge::Model::open_memory("garbage", 7);
    CHECK(!garbage.ok());
    CHECK(garbage.error().text()[0] != '\0');
}

/* The model goes first; the session is moved on the way. */
static ledge::Result<ledge::Session> open(const char *path)
{
    auto model = ledge::Model::open(path);
    if (!model) {
        return model.error();
    }
    ledge::Model moved = std::move(*model);
    CHECK(moved.n_inputs() == 1 && moved.n_outputs() == 1);
    CHECK(std::strcmp(moved.input(0).name, "x") == 0);
    CHECK(moved.input(7).dtype == LEDGE_DTYPE_NONE);
    CHECK(moved.metadata("no such key") == nullptr);
    ledge_session_options options = {};
    options.threads = 2;
    options.numerics = LEDGE_NUMERICS_CONSISTENT;
    return ledge::Session::open(moved, options);
}

static void sessions_run(const char *path)
{
    auto opened = open(path);
    CHECK(opened.ok());
    if (!opened) {
        std::printf("%s\n", opened.error().text());
        return;
    }
    ledge::Session session = std::move(*opened);
    ledge::Tensor in = session.input(0);
    std::vector<float> x(in.size(), 1.0f);
    std::vector<int> wrong(in.size(), 1);
    CHECK(in.dtype == LEDGE_F32 && in.shape().size() == static_cast<std::size_t>(in.rank));
    CHECK(!in.bind(wrong.data()));
    auto unbound = session.run({in});
    CHECK(!unbound && unbound.error().status() == LEDGE_ERR_ARG);
    CHECK(in.bind(x.data()));
    auto out = session.run({in});
    CHECK(out.ok() && out->size() == 1);
    if (!out) {
        return;
    }
    CHECK((*out)[0].data<int>() == nullptr && (*out)[0].values<int>().empty());
    ledge::Span<const float> y = (*out)[0].values<float>();
    CHECK(y.size() == (*out)[0].size() && !y.empty());
    std::vector<float> kept(y.begin(), y.end()), room(y.size());
    ledge::Tensor into = session.output(0);
    into.ledge_tensor::data = room.data();
    auto again = session.run_into({&in, 1}, {&into, 1});
    CHECK(again.ok() && room == kept);
    into.bytes--;
    CHECK(session.run_into({&in, 1}, {&into, 1}).error().status() == LEDGE_ERR_SHAPE);
    CHECK(session.run({}).error().status() == LEDGE_ERR_ARG);
    CHECK(session.memory_bytes() > session.arena_bytes());
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    failures_are_results();
    sessions_run(argv[1]);
    std::printf(failed > 0 ? "%d checks failed\n" : "ok\n", failed);
    return failed > 0 ? 1 : 0;
}

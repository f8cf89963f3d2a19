/* SPDX-License-Identifier: Apache-2.0 */
/* ledge.hpp -- the C API as C++17: objects that close themselves, results instead of exceptions.
 *
 *   auto model = ledge::Model::open("model.onnx");
 *   if (!model) { std::puts(model.error().text()); return; }
 *   auto session = ledge::Session::open(*model);
 *   ledge::Tensor in = session->input(0);
 *   in.bind(pixels);
 *   auto out = session->run({in});
 *   const float *scores = (*out)[0].data<float>();
 *
 * Nothing here throws, and it compiles with -fno-exceptions and -fno-rtti. Header only: link
 * libledge. Threads: as in model.h and session.h. Memory: a run allocates nothing.
 */
#ifndef LEDGE_LEDGE_HPP
#define LEDGE_LEDGE_HPP

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "ledge/ledge.h"

namespace ledge {

/* n elements side by side; nothing is owned. */
template <class T> class Span {
  public:
    Span() = default;
    Span(T *data, std::size_t size) : data_(data), size_(size)
    {
    }
    T *data() const
    {
        return data_;
    }
    std::size_t size() const
    {
        return size_;
    }
    bool empty() const
    {
        return size_ == 0;
    }
    T *begin() const
    {
        return data_;
    }
    T *end() const
    {
        return data_ + size_;
    }
    T &operator[](std::size_t i) const
    {
        return data_[i];
    }

  private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

/* What went wrong: a code and one line. */
class Error {
  public:
    Error() : error_{LEDGE_OK, ""}
    {
    }
    Error(enum ledge_status status, const char *text) : error_{status, ""}
    {
        std::strncpy(error_.text, text, sizeof error_.text - 1);
    }
    enum ledge_status status() const
    {
        return error_.status;
    }
    const char *text() const
    {
        return error_.text;
    }
    const char *name() const
    {
        return ledge_status_name(error_.status);
    }
    ledge_error *get()
    {
        return &error_;
    } /* to hand to the C API */

  private:
    ledge_error error_;
};

/* A value, or the error that stands in its place. Taking the value of a failure ends the program
 * (std::abort): ask first. */
template <class T> class [[nodiscard]] Result {
  public:
    Result(T value) : ok_(true)
    {
        new (&value_) T(std::move(value));
    }
    Result(const Error &error) : ok_(false)
    {
        new (&error_) Error(error);
    }
    Result(Result &&other) noexcept : ok_(other.ok_)
    {
        if (ok_) {
            new (&value_) T(std::move(other.value_));
        } else {
            new (&error_) Error(other.error_);
        }
    }
    Result(const Result &) = delete;
    Result &operator=(const Result &) = delete;
    ~Result()
    {
        if (ok_) {
            value_.~T();
        }
    }

    explicit operator bool() const
    {
        return ok_;
    }
    bool ok() const
    {
        return ok_;
    }
    T &value()
    {
        must(ok_);
        return value_;
    }
    T &operator*()
    {
        return value();
    }
    T *operator->()
    {
        return &value();
    }
    const Error &error() const
    {
        must(!ok_);
        return error_;
    }

  private:
    static void must(bool truth)
    {
        if (!truth) {
            std::abort();
        }
    }
    bool ok_;
    union {
        T value_;
        Error error_;
    };
};

/* The element type of a C++ type; NONE for one that has none (f16 and bf16 are read as u16's
 * bytes through ledge_tensor::data). */
template <class T> constexpr enum ledge_dtype dtype_of()
{
    if constexpr (std::is_same_v<T, float>) {
        return LEDGE_F32;
    } else if constexpr (std::is_same_v<T, double>) {
        return LEDGE_F64;
    } else if constexpr (std::is_same_v<T, bool>) {
        return LEDGE_BOOL;
    } else if constexpr (std::is_integral_v<T>) {
        return sizeof(T) == 1   ? (std::is_signed_v<T> ? LEDGE_I8 : LEDGE_U8)
               : sizeof(T) == 2 ? (std::is_signed_v<T> ? LEDGE_I16 : LEDGE_U16)
               : sizeof(T) == 4 ? (std::is_signed_v<T> ? LEDGE_I32 : LEDGE_U32)
                                : (std::is_signed_v<T> ? LEDGE_I64 : LEDGE_U64);
    } else {
        return LEDGE_DTYPE_NONE;
    }
}

/* A view of a tensor: nothing is owned. */
class Tensor : public ledge_tensor {
  public:
    Tensor() : ledge_tensor()
    {
    }
    Tensor(const ledge_tensor &tensor) : ledge_tensor(tensor)
    {
    }

    std::size_t size() const /* elements */
    {
        std::size_t each = ledge_dtype_size(dtype);
        return each > 0 ? bytes / each : 0;
    }
    Span<const std::int64_t> shape() const
    {
        return Span<const std::int64_t>(dims, static_cast<std::size_t>(rank));
    }

    /* The elements, or NULL when they are of another type. */
    template <class T> T *data() const
    {
        return dtype_of<std::remove_const_t<T>>() == dtype ? static_cast<T *>(ledge_tensor::data)
                                                           : nullptr;
    }
    template <class T> Span<const T> values() const
    {
        const T *at = data<const T>();
        return at != nullptr ? Span<const T>(at, size()) : Span<const T>();
    }

    /* Look at memory of the caller's (BORROWED while the tensor is used): size() elements. False
     * and nothing done when they are of another type. */
    template <class T> bool bind(const T *elements)
    {
        if (dtype_of<T>() != dtype) {
            return false;
        }
        ledge_tensor::data = const_cast<T *>(elements);
        return true;
    }
};

static_assert(sizeof(Tensor) == sizeof(ledge_tensor), "arrays of one are arrays of the other");

class Model {
  public:
    using Options = ledge_model_options;

    static Result<Model> open(const char *path, const Options &options = Options())
    {
        Error error;
        ledge_model *model = nullptr;
        if (ledge_model_open(path, &options, &model, error.get()) != LEDGE_OK) {
            return error;
        }
        return Model(model);
    }
    /* bytes are BORROWED and must outlive the model and its sessions. */
    static Result<Model> open_memory(const void *bytes, std::size_t size,
                                     const Options &options = Options())
    {
        Error error;
        ledge_model *model = nullptr;
        if (ledge_model_open_memory(bytes, size, &options, &model, error.get()) != LEDGE_OK) {
            return error;
        }
        return Model(model);
    }

    std::int32_t n_inputs() const
    {
        return ledge_model_n_inputs(model_.get());
    }
    std::int32_t n_outputs() const
    {
        return ledge_model_n_outputs(model_.get());
    }
    /* As declared in the file; dtype NONE when there is no such input or output. */
    ledge_tensor_info input(std::int32_t index) const
    {
        ledge_tensor_info info = {};
        return ledge_model_input(model_.get(), index, &info) == LEDGE_OK ? info
                                                                         : ledge_tensor_info();
    }
    ledge_tensor_info output(std::int32_t index) const
    {
        ledge_tensor_info info = {};
        return ledge_model_output(model_.get(), index, &info) == LEDGE_OK ? info
                                                                          : ledge_tensor_info();
    }
    /* BORROWED from the model; NULL when there is no such key. */
    const char *metadata(const char *key) const
    {
        return ledge_model_metadata(model_.get(), key);
    }

    ledge_model *get() const
    {
        return model_.get();
    }

  private:
    struct Close {
        void operator()(ledge_model *model) const
        {
            ledge_model_close(model);
        }
    };
    explicit Model(ledge_model *model) : model_(model)
    {
    }
    std::unique_ptr<ledge_model, Close> model_;
};

class Session {
  public:
    using Options = ledge_session_options;

    /* The session keeps the model: model may go first. */
    static Result<Session> open(const Model &model, const Options &options = Options())
    {
        Error error;
        ledge_session *session = nullptr;
        if (ledge_session_open(model.get(), &options, &session, error.get()) != LEDGE_OK) {
            return error;
        }
        Session made(session, model.n_inputs(), model.n_outputs());
        if (made.outputs_ == nullptr) {
            return Error(LEDGE_ERR_NOMEM, "no memory for a session");
        }
        return made;
    }

    /* With concrete shapes; data is NULL. dtype NONE when there is no such input or output. */
    Tensor input(std::int32_t index) const
    {
        Tensor tensor;
        return ledge_session_input(session_.get(), index, &tensor) == LEDGE_OK ? tensor : Tensor();
    }
    Tensor output(std::int32_t index) const
    {
        Tensor tensor;
        return ledge_session_output(session_.get(), index, &tensor) == LEDGE_OK ? tensor : Tensor();
    }
    std::int32_t n_inputs() const
    {
        return n_inputs_;
    }
    std::int32_t n_outputs() const
    {
        return n_outputs_;
    }

    /* Run one inference; the outputs' memory is the session's until the next run. */
    Result<Span<const Tensor>> run(Span<const Tensor> inputs)
    {
        Error error;
        if (ledge_session_run(session_.get(), inputs.data(),
                              static_cast<std::int32_t>(inputs.size()), outputs_.get(), n_outputs_,
                              error.get()) != LEDGE_OK) {
            return error;
        }
        return Span<const Tensor>(outputs_.get(), static_cast<std::size_t>(n_outputs_));
    }
    Result<Span<const Tensor>> run(std::initializer_list<Tensor> inputs)
    {
        return run(Span<const Tensor>(inputs.begin(), inputs.size()));
    }

    /* The same with the outputs in memory of the caller's: data and bytes of each are set before,
     * the rest after (ledge_session_run_into()). */
    Result<Span<Tensor>> run_into(Span<const Tensor> inputs, Span<Tensor> outputs)
    {
        Error error;
        if (ledge_session_run_into(session_.get(), inputs.data(),
                                   static_cast<std::int32_t>(inputs.size()), outputs.data(),
                                   static_cast<std::int32_t>(outputs.size()),
                                   error.get()) != LEDGE_OK) {
            return error;
        }
        return outputs;
    }

    /* Give variables and recurrent layers what they began with. */
    void reset()
    {
        ledge_session_reset(session_.get());
    }

    std::size_t arena_bytes() const
    {
        return ledge_session_arena_bytes(session_.get());
    }
    std::size_t memory_bytes() const
    {
        return ledge_session_memory_bytes(session_.get());
    }

    ledge_session *get() const
    {
        return session_.get();
    }

  private:
    struct Close {
        void operator()(ledge_session *session) const
        {
            ledge_session_close(session);
        }
    };
    Session(ledge_session *session, std::int32_t n_inputs, std::int32_t n_outputs)
        : session_(session),
          outputs_(new (std::nothrow) Tensor[static_cast<std::size_t>(n_outputs)]),
          n_inputs_(n_inputs), n_outputs_(n_outputs)
    {
    }
    std::unique_ptr<ledge_session, Close> session_;
    std::unique_ptr<Tensor[]> outputs_;
    std::int32_t n_inputs_;
    std::int32_t n_outputs_;
};

} // namespace ledge

#endif

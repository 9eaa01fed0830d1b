// What JavaScript sees of the engine: one call per call, conversions and no logic. web/lib decides everything.
// A call that can fail returns {code, message} in place of its value. Sizes and positions cross as doubles: exact up to
// 2^53, and free of BigInt. The TypeScript side of this file is engine_module.d.ts.
#include <emscripten/bind.h>
#include <emscripten/heap.h>
#include <emscripten/val.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"

using emscripten::val;

namespace {

using namespace strata;

val failure(const Error& error) {
    val object = val::object();
    object.set("code", error_name(error.code));
    object.set("message", error.message);
    return object;
}

val to_js(const Status& status) { return status ? val::undefined() : failure(status.error()); }

template <class T>
val to_array(const std::vector<T>& values) {
    return val::array(values.begin(), values.end());
}

val to_js(const KvTier& tier) {
    val object = val::object();
    object.set("name", tier.name);
    object.set("first", double(tier.first));
    object.set("positions", double(tier.positions));
    object.set("keyBits", tier.key_bits);
    object.set("valueBits", tier.value_bits);
    object.set("bytes", double(tier.bytes));
    return object;
}

val to_js(const KvStats& stats) {
    val tiers = val::array();
    for (const KvTier& tier : stats.tiers) tiers.call<void>("push", to_js(tier));
    val object = val::object();
    object.set("policy", stats.policy);
    object.set("positions", double(stats.positions));
    object.set("bytes", double(stats.bytes));
    object.set("bytesFp16", double(stats.bytes_fp16));
    object.set("bytesFp32", double(stats.bytes_fp32));
    object.set("tiers", tiers);
    object.set("budgetBytes", double(stats.budget_bytes));
    object.set("leastBudgetBytes", double(stats.least_budget_bytes));
    object.set("keptBytes", double(stats.kept_bytes));
    object.set("spareBytes", double(stats.spare_bytes));
    object.set("thawedPositions", double(stats.thawed_positions));
    object.set("windowedBytes", double(stats.windowed_bytes));
    object.set("heapBytes", double(emscripten_get_heap_size()));
    return object;
}

val to_js(const MemoryPlan& plan) {
    val presets = val::object();
    for (const KvPreset preset : kKvPresets) {
        const auto& bytes = plan.bytes_per_token[size_t(preset)];
        if (!bytes) continue;
        val each = val::object();
        each.set("bytesPerToken", bytes->global);
        each.set("windowedBytes", bytes->windowed * double(plan.windowed_tokens));
        each.set("tokens", double(plan.tokens_within(preset, kTabBytes)));
        presets.set(kv_preset_name(preset), each);
    }
    val object = val::object();
    object.set("name", plan.config.name);
    object.set("architecture", plan.config.architecture);
    object.set("weightTypes", plan.weight_types);
    object.set("parameters", double(plan.n_parameters));
    object.set("weightBytes", double(plan.weight_bytes));
    object.set("workingBytes", double(plan.working_bytes));
    object.set("windowBytes", double(plan.window_bytes));
    object.set("trainedLength", plan.config.trained_length);
    object.set("presets", presets);
    object.set("tabBytes", double(kTabBytes));
    return object;
}

// What JavaScript leaves out keeps the engine's default.
template <class T>
void take(const val& options, const char* name, T& field) {
    const val value = options[name];
    if (!value.isUndefined()) field = value.as<T>();
}

// A value out of a list, by its name.
template <class T, size_t N>
Result<T> named(const char* what, const std::string& text, const T (&known)[N], const char* (*name_of)(T)) {
    std::string names;
    for (const T each : known) {
        if (text == name_of(each)) return each;
        names += std::string(" ") + name_of(each);
    }
    return Error{ErrorCode::invalid_argument, std::string(what) + " \"" + text + "\" is unknown; known:" + names};
}

Result<KvPreset> preset_named(const std::string& text) { return named("preset", text, kKvPresets, kv_preset_name); }

Status take(const val& options, const char* name, KvType& field) {
    const val value = options[name];
    if (value.isUndefined()) return Done{};
    const auto type = named(name, value.as<std::string>(), kKvTypes, kv_type_name);
    if (!type) return type.error();
    field = *type;
    return Done{};
}

// web/lib has checked it; a conversion out of range would be undefined all the same.
uint64_t byte_count(double value) { return value >= 0 && value < 9e15 ? uint64_t(value) : 0; }

Result<SessionOptions> session_options(const val& options) {
    SessionOptions result;
    const auto key = take(options, "keyType", result.kv.key_type);
    if (!key) return key.error();
    const auto value = take(options, "valueType", result.kv.value_type);
    if (!value) return value.error();
    take(options, "keyWindow", result.kv.key_window);
    take(options, "valueWindow", result.kv.value_window);
    if (const val preset = options["preset"]; !preset.isUndefined()) {
        const auto named = preset_named(preset.as<std::string>());
        if (!named) return named.error();
        result.kv.preset = *named;
    }
    double budget = 0;
    take(options, "budgetBytes", budget);
    result.kv.budget_bytes = byte_count(budget);
    if (const val layers = options["guardedLayers"]; !layers.isUndefined())
        result.kv.guarded_layers = emscripten::convertJSArrayToNumberVector<int>(layers);
    take(options, "visibleWindow", result.kv.visible_window);
    if (const val clamp = options["distanceClamp"]; !clamp.isUndefined()) result.distance_clamp = clamp.as<int>();
    take(options, "threads", result.threads);
    return result;
}

GenerationOptions generation_options(const val& options) {
    GenerationOptions result;
    take(options, "temperature", result.sampler.temperature);
    take(options, "topK", result.sampler.top_k);
    take(options, "topP", result.sampler.top_p);
    take(options, "minP", result.sampler.min_p);
    take(options, "repeatPenalty", result.sampler.repeat_penalty);
    take(options, "repeatLastN", result.sampler.repeat_last_n);
    double seed = double(result.sampler.seed);
    take(options, "seed", seed);
    result.sampler.seed = uint64_t(seed);
    take(options, "maxTokens", result.max_tokens);
    const val stop = options["stop"];
    if (!stop.isUndefined()) result.stop = emscripten::vecFromJSArray<std::string>(stop);
    return result;
}

// 64 bits are more than a number in JavaScript holds.
std::string hexadecimal(uint64_t value) {
    std::string text(16, '0');
    for (size_t i = text.size(); i-- > 0; value /= 16) text[i] = "0123456789abcdef"[value % 16];
    return text;
}

// [begin, end, begin, end, …] in bytes.
std::vector<ByteRange> byte_ranges(const val& numbers) {
    const auto flat = emscripten::convertJSArrayToNumberVector<double>(numbers);
    std::vector<ByteRange> ranges;
    for (size_t i = 0; i + 1 < flat.size(); i += 2) ranges.push_back({size_t(flat[i]), size_t(flat[i + 1])});
    return ranges;
}

// A model's bytes in linear memory, the model over them, and one conversation. Destroyed in the opposite order.
class Engine {
public:
    // ---- the file's bytes: JavaScript writes them, straight from the network, into the memory where they stay
    double tab_bytes() const { return double(kTabBytes); }
    // Room for `size` bytes, keeping what was written. False where there is no memory; nothing is lost then.
    bool reserve(double size) {
        if (size > tab_bytes()) return false;
        const size_t wanted = size_t(size), before = capacity_;
        while (capacity_ < wanted) {
            if (resize(capacity_ + std::min(wanted - capacity_, kMostAtOnce))) continue;
            resize(before);
            return false;
        }
        return resize(wanted);
    }
    val bytes() const { return val(emscripten::typed_memory_view(capacity_, bytes_.get())); }

    // ---- the model
    // part_bytes: sizes of the files of a split model, which lie one after the other; [] for one file.
    val open(double size, const val& part_bytes) {
        std::vector<uint64_t> parts;
        for (const double part : emscripten::convertJSArrayToNumberVector<double>(part_bytes))
            parts.push_back(byte_count(part));
        auto model = Model::open({bytes_.get(), size_t(size)}, parts);
        if (!model) return failure(model.error());
        model_ = std::move(*model);
        return val::undefined();
    }
    // What a model would need, from the first `read` bytes of its file. No model is opened.
    val plan(double read, double file_bytes, double all_bytes) const {
        const auto plan = plan_memory({bytes_.get(), size_t(read)}, byte_count(file_bytes), byte_count(all_bytes));
        return plan ? to_js(*plan) : failure(plan.error());
    }
    val info() const {
        const ModelConfig& config = model_->config();
        val object = val::object();
        object.set("name", config.name);
        object.set("architecture", config.architecture);
        object.set("parameters", double(model_->n_parameters()));
        object.set("weightBytes", double(model_->weight_bytes()));
        object.set("weightTypes", model_->weight_types());
        object.set("trainedLength", config.trained_length);
        object.set("layers", config.n_layers);
        object.set("kvHeads", config.n_kv_heads);
        object.set("headDim", config.head_dim);
        const KvShape shape = config.kv_shape();
        object.set("windowedLayers", shape.n_windowed());
        object.set("window", shape.n_windowed() > 0 ? shape.window : 0);
        object.set("vocabulary", config.n_vocab);
        object.set("identity", hexadecimal(model_->identity()));
        return object;
    }
    val chat_template() const {
        const auto text = model_->chat_template();
        return text ? val(std::string(*text)) : val::undefined();
    }

    // ---- its tokenizer
    val encode(const std::string& text, bool parse_special, const val& literal) const {
        const auto special = parse_special ? SpecialTokens::parse : SpecialTokens::as_text;
        return to_array(model_->tokenizer().encode(text, special, byte_ranges(literal)));
    }
    std::string decode(const val& ids, bool show_control) const {
        return model_->tokenizer().decode(emscripten::convertJSArrayToNumberVector<int>(ids), show_control);
    }
    val special_texts() const { return to_array(model_->tokenizer().special_texts()); }
    int bos() const { return model_->tokenizer().bos(); }
    int eos() const { return model_->tokenizer().eos(); }
    bool wants_bos() const { return model_->tokenizer().wants_bos(); }

    // ---- the conversation
    // Closes the one before first: its threads are the ones that the new one will use.
    val open_session(const val& options) {
        generation_.reset();
        session_.reset();
        const auto wanted = session_options(options);
        if (!wanted) return failure(wanted.error());
        auto session = Session::open(*model_, *wanted);
        if (!session) return failure(session.error());
        session_ = std::move(*session);
        return val::undefined();
    }
    val append_some(const val& ids, int layers) {
        const auto read = session_->append_some(emscripten::convertJSArrayToNumberVector<int>(ids), layers);
        return read ? val(*read) : failure(read.error());
    }
    void begin_turn() { session_->begin_turn(); }
    void begin_answer(double n) { session_->begin_answer(int64_t(n)); }
    val tokens(double first, double end) const {
        const auto some = session_->tokens().subspan(size_t(first), size_t(end - first));
        return to_array(std::vector<int>(some.begin(), some.end()));
    }
    double start_for(double n) const { return double(session_->start_for(int64_t(n))); }
    val truncate(double n) {
        const auto exact = session_->truncate(int64_t(n));
        return exact ? val(*exact) : failure(exact.error());
    }
    val set_memory(const std::string& preset, double budget_bytes) {
        const auto named = preset_named(preset);
        return named ? to_js(session_->set_memory(*named, byte_count(budget_bytes))) : failure(named.error());
    }
    val save() const {
        const auto bytes = session_->save();
        if (!bytes) return failure(bytes.error());
        return val(emscripten::typed_memory_view(bytes->size(), bytes->data())).call<val>("slice");
    }
    // The conversation in memory ends only once the snapshot has proved whole. Its threads are the ones that the new
    // one will use, so the proof runs without.
    val restore(const val& snapshot, const val& options) {
        const auto wanted = session_options(options);
        if (!wanted) return failure(wanted.error());
        const auto size = snapshot["length"].as<size_t>();
        const std::unique_ptr<uint8_t[]> bytes(new (std::nothrow) uint8_t[size]);
        if (!bytes)
            return failure({ErrorCode::out_of_memory, "a snapshot of " + std::to_string(size) +
                                                          " bytes does not fit beside the conversation in memory"});
        val(emscripten::typed_memory_view(size, bytes.get())).call<void>("set", snapshot);
        SessionOptions alone = *wanted;
        alone.threads = 1;
        auto proved = Session::restore(*model_, {bytes.get(), size}, alone);
        if (!proved) return failure(proved.error());
        generation_.reset();
        session_ = std::move(*proved);
        if (wanted->threads == 1) return val::undefined();
        auto session = Session::restore(*model_, {bytes.get(), size}, *wanted);
        if (session) session_ = std::move(*session);  // else it goes on with one thread
        return val::undefined();
    }
    val start(const val& options) {
        auto generation = Generation::start(*session_, generation_options(options));
        if (!generation) return failure(generation.error());
        generation_.emplace(std::move(*generation));
        return val::undefined();
    }
    val step() {
        const auto step = generation_->step();
        if (!step) return failure(step.error());
        val object = val::object();
        object.set("token", step->token);
        object.set("text", step->text);
        object.set("stop", stop_reason_name(step->stop));
        return object;
    }
    val stats() const { return to_js(session_->stats()); }
    double position() const { return double(session_->position()); }
    double scratch_bytes() const { return double(session_->scratch_bytes()); }
    std::string simd() const { return session_->simd(); }
    int threads() const { return session_->threads(); }

    // ---- the guard, beside the conversation and without touching it
    val begin_guard(const val& options) {
        const auto wanted = session_options(options);
        if (!wanted) return failure(wanted.error());
        auto run = GuardRun::open(*model_, *wanted);
        if (!run) return failure(run.error());
        guard_ = std::move(*run);
        return val::undefined();
    }
    val step_guard(int positions) {
        if (const Status read = guard_->step(positions); !read) {
            guard_.reset();
            return failure(read.error());
        }
        const GuardResult result = guard_->result();
        val object = val::object();
        object.set("done", guard_->done());
        object.set("progress", guard_->progress());
        object.set("kldWithout", result.kld_without);
        object.set("kld", result.kld);
        object.set("guardedLayers", to_array(result.guarded_layers));
        return object;
    }
    void end_guard() { guard_.reset(); }

    val score_digest(const val& ids) {
        const auto digest = logits_digest(*session_, emscripten::convertJSArrayToNumberVector<int>(ids));
        return digest ? val(*digest) : failure(digest.error());
    }

private:
    struct Free {
        void operator()(void* bytes) const { std::free(bytes); }
    };

    // The allocator never asks for 2 GB or more in one piece, although a block may become that large.
    static constexpr size_t kMostAtOnce = size_t(1) << 30;

    // realloc extends a block in place only into free memory behind it, so that is made first. Without it, every growth
    // would need the memory twice.
    bool resize(size_t size) {
        if (size == capacity_) return true;
        void* volatile behind =
            size > capacity_ ? std::malloc(size - capacity_) : nullptr;  // volatile: not optimised away
        std::free(behind);
        auto* const bytes = static_cast<uint8_t*>(std::realloc(bytes_.get(), size));
        if (bytes == nullptr && size > 0) return false;
        (void)bytes_.release();  // realloc has taken it
        bytes_.reset(bytes);
        capacity_ = size;
        return true;
    }

    std::unique_ptr<uint8_t, Free> bytes_;
    size_t capacity_ = 0;
    std::unique_ptr<Model> model_;
    std::unique_ptr<Session> session_;
    std::optional<Generation> generation_;
    std::unique_ptr<GuardRun> guard_;
};

std::string build_commit() { return build_info().commit; }
std::string build_compiler() { return build_info().compiler; }

}  // namespace

EMSCRIPTEN_BINDINGS(engine) {
    emscripten::class_<Engine>("Engine")
        .constructor<>()
        .function("tabBytes", &Engine::tab_bytes)
        .function("reserve", &Engine::reserve)
        .function("bytes", &Engine::bytes)
        .function("open", &Engine::open)
        .function("plan", &Engine::plan)
        .function("info", &Engine::info)
        .function("chatTemplate", &Engine::chat_template)
        .function("encode", &Engine::encode)
        .function("decode", &Engine::decode)
        .function("specialTexts", &Engine::special_texts)
        .function("bos", &Engine::bos)
        .function("eos", &Engine::eos)
        .function("wantsBos", &Engine::wants_bos)
        .function("openSession", &Engine::open_session)
        .function("appendSome", &Engine::append_some)
        .function("beginTurn", &Engine::begin_turn)
        .function("beginAnswer", &Engine::begin_answer)
        .function("tokens", &Engine::tokens)
        .function("startFor", &Engine::start_for)
        .function("truncate", &Engine::truncate)
        .function("setMemory", &Engine::set_memory)
        .function("save", &Engine::save)
        .function("restore", &Engine::restore)
        .function("start", &Engine::start)
        .function("step", &Engine::step)
        .function("stats", &Engine::stats)
        .function("beginGuard", &Engine::begin_guard)
        .function("stepGuard", &Engine::step_guard)
        .function("endGuard", &Engine::end_guard)
        .function("position", &Engine::position)
        .function("scratchBytes", &Engine::scratch_bytes)
        .function("simd", &Engine::simd)
        .function("threads", &Engine::threads)
        .function("scoreDigest", &Engine::score_digest);
    emscripten::function("kernelSignature", &kernel_signature);
    emscripten::function("weightsSignature", &weights_signature);
    emscripten::function("buildCommit", &build_commit);
    emscripten::function("buildCompiler", &build_compiler);
}

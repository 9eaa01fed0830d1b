// Any bytes are the tiles of a conversation or an Error, and whatever is restored can be read, written on, taken back
// and saved. The input edits a real snapshot: positions to write, a preset, then offsets and bytes to put there, so
// that the fuzzer need not find a whole snapshot by itself; with a first byte of 255 the rest is taken as it is.
//   snapshot_fuzz -max_total_time=60 CORPUS_FOLDER
#include <cstring>

#include "engine/base/check.h"
#include "engine/kv/attention.h"

namespace {

using namespace strata;

const KvShape kShape{2, 1, 16, 200, {0, 1}};  // a layer that sees everything, and one with a window

ThreadPool& pool() {
    static ThreadPool one(1);
    return one;
}

void write_some(TileCache& tiles, int n) {
    std::vector<float> row(16);
    for (int i = 0; i < n; ++i) {
        if (!tiles.reserve(tiles.position() + 1, best_kernels(), pool())) return;
        for (int c = 0; c < 16; ++c) row[size_t(c)] = float((i * 31 + c * 17) % 13) - 6;
        for (int layer = 0; layer < kShape.n_layers; ++layer) tiles.write(layer, 0, 1, row.data(), row.data());
        tiles.advance(1);
    }
}

std::vector<uint8_t> snapshot(int positions, KvPreset preset, bool guarded) {
    KvOptions options;
    options.preset = preset;
    if (guarded) options.guarded_layers = {1};
    auto tiles = TileCache::create(kShape, options);
    write_some(**tiles, positions / 2);
    (*tiles)->begin_turn();
    (*tiles)->begin_answer(positions * 3 / 4);
    write_some(**tiles, positions - positions / 2);
    ByteWriter out;
    (*tiles)->save(out);
    return out.take();
}

void use(std::unique_ptr<TileCache> tiles) {
    const int64_t position = tiles->position();
    ByteWriter saved;
    tiles->save(saved);
    ByteReader again(saved.written());
    CHECK(TileCache::restore(kShape, again));
    KvCache cache(kShape, nullptr, std::move(tiles), 0);
    const KvStats stats = cache.stats();
    int64_t covered = 0;
    for (const KvTier& tier : stats.tiers) covered += tier.positions;
    CHECK(covered == position);
    Rope rope({std::vector<double>(8, 0.1), 1000, 500});
    rope.reserve(position + 1);
    if (position < 4096 && cache.reserve(1, best_kernels(), pool())) {
        Attention attention(cache, 2, 1, best_kernels(), pool());
        attention.reserve(position + 1);
        std::vector<float> row(32, 0.5f), out(32);
        for (int layer = 0; layer < kShape.n_layers; ++layer) {
            cache.write(layer, 0, 1, row.data(), row.data());
            attention.attend({layer, &rope, kShape.window_of(layer)}, position, 1, row.data(), out.data());
        }
        cache.advance(1);
    }
    (void)cache.tiles()->set_memory(KvPreset::max, 0, best_kernels(), pool());
    (void)cache.truncate(cache.start_for(position / 2));
    write_some(*cache.tiles(), 70);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 3) return 0;
    std::vector<uint8_t> bytes(data + 1, data + size);
    if (data[0] != 255) {
        bytes = snapshot(data[0] * 3, kKvPresets[data[1] % 4], data[2] % 2 == 1);
        for (size_t i = 3; i + 4 <= size; i += 4) {
            uint32_t at = 0;
            std::memcpy(&at, data + i, 3);
            bytes[at % bytes.size()] = data[i + 3];
        }
    }
    ByteReader in(bytes);
    auto tiles = TileCache::restore(kShape, in);
    if (tiles) use(std::move(*tiles));
    return 0;
}

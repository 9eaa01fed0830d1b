// Pages of one size with a list of free ones. A page is allocated by take() only when none is free; give_back() never
// frees, trim() does.
#pragma once
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace strata {

class PagePool {
public:
    explicit PagePool(size_t page_bytes) : page_bytes_(page_bytes) {}

    static constexpr std::align_val_t kAlignment{64};  // a cache line: a vector of a row lies in one
    struct Free {
        void operator()(uint8_t* page) const { operator delete[](page, kAlignment); }
    };
    using Page = std::unique_ptr<uint8_t[], Free>;

    // A page of any content; empty when memory is out.
    Page take() {
        if (!free_.empty()) {
            Page page = std::move(free_.back());
            free_.pop_back();
            return page;
        }
        Page page(new (kAlignment, std::nothrow) uint8_t[page_bytes_]);
        if (page) ++allocated_;
        return page;
    }
    void give_back(Page page) {
        if (page) free_.push_back(std::move(page));
    }
    // Returns free pages to the system until at most `keep` are left.
    void trim(size_t keep = 0) {
        while (free_.size() > keep) {
            free_.pop_back();
            --allocated_;
        }
    }

    size_t page_bytes() const { return page_bytes_; }
    size_t free_pages() const { return free_.size(); }
    uint64_t bytes() const { return uint64_t(allocated_) * page_bytes_; }  // free pages included
    uint64_t free_bytes() const { return uint64_t(free_.size()) * page_bytes_; }

private:
    size_t page_bytes_;
    size_t allocated_ = 0;
    std::vector<Page> free_;
};

}  // namespace strata

// The quick start with the C++ wrapper:
//     c++ -std=c++17 quick_start.cpp $(pkg-config --cflags --libs kvraft)
#include <iostream>

#include <kvraft.hpp>

int main(int argc, char **argv)
try {
    const auto map = kvraft::map::open(kvraft::config(argc > 1 ? argv[1] : "./data"));
    map.put("greeting", "hello");
    if (const auto value = map.get("greeting")) {
        std::cout << "greeting is " << value->view() << "\n";
    }
    std::cout << "visits: " << map.increment("visits", 1) << "\n";
    map.close();
} catch (const kvraft::error &error) {
    std::cerr << kvraft_status_name(error.status()) << ": " << error.what() << "\n";
    return 1;
}

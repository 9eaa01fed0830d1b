// The words that recall questions are made of: ordinary English names and words, and the attributes and slots that the
// shipped model was trained to be asked about. Which they are changes every recall number: do not edit them lightly.
#pragma once
#include <string_view>

namespace strata {

inline constexpr std::string_view kRecallNames[] = {
    "Mary",     "John",      "George",   "Tom",      "Harry",       "Richard",   "Laura",    "Rachel",    "Jane",
    "Philip",   "Robert",    "Edward",   "Alice",    "Elizabeth",   "James",     "Paul",     "Charles",   "Henry",
    "Jack",     "Margaret",  "William",  "Sarah",    "Julia",       "Molly",     "Kitty",    "Guy",       "Catherine",
    "Oliver",   "Florence",  "Walter",   "Martha",   "Christopher", "Ruth",      "Peter",    "Kate",      "Stephen",
    "Anne",     "Amy",       "Thomas",   "Leslie",   "Agnes",       "Caroline",  "Amelia",   "Roger",     "Matthew",
    "Milly",    "Jim",       "Gerald",   "Emily",    "Alan",        "Charlotte", "Rebecca",  "Austin",    "Leo",
    "Felix",    "Sophy",     "Patrick",  "Marie",    "Ann",         "Jules",     "Bob",      "Solomon",   "Hubert",
    "Lorna",    "Tommy",     "Theodore", "Allan",    "Stanley",     "Leila",     "Clarissa", "Henderson", "Cedric",
    "Giles",    "Winifred",  "Greville", "Mortimer", "Michel",      "Andrew",    "Frances",  "Armstrong", "Constance",
    "Nash",     "Randal",    "Brandon",  "Ernest",   "Hamilton",    "Clarke",    "Isabella", "Jackson",   "Howard",
    "Georgie",  "Norah",     "Manuel",   "Dillon",   "Gunn",        "Barrymore", "Oswald",   "Tracy",     "Trent",
    "Mike",     "Elsie",     "Mildred",  "Fleming",  "Dicky",       "Norris",    "Verney",   "Vivian",    "Anthony",
    "Bedford",  "Dickinson", "Sutton",   "Cummings", "Ellen",       "Fanny",     "Lucy",     "Helen",     "Susan",
    "Nancy",    "Betty",     "Grace",    "Hetty",    "Dorothy",     "Eleanor",   "Harriet",  "Louisa",    "Rose",
    "Clara",    "Nellie",    "Bessie",   "Polly",    "Jenny",       "Maggie",    "Annie",    "Ella",      "Emma",
    "Dora",     "Flora",     "Edith",    "Ethel",    "Maud",        "Mabel",     "Hilda",    "Beatrice",  "Cecilia",
    "Diana",    "Barbara",   "Rosamond", "Hester",   "Esther",      "Judith",    "Miriam",   "Hannah",    "Phoebe",
    "Sylvia",   "Frederick", "Arthur",   "Albert",   "Alfred",      "Francis",   "Frank",    "Ralph",     "Hugh",
    "Humphrey", "Simon",     "Martin",   "Mark",     "Luke",        "Samuel",    "Daniel",   "Benjamin",  "Joseph",
    "Joshua",   "David",     "Adam",     "Noel",     "Nicholas",    "Lawrence",  "Leonard",  "Lionel",    "Maurice",
    "Michael",  "Neville",   "Gilbert",  "Geoffrey", "Godfrey",     "Gregory",   "Edmund",   "Edgar",     "Edwin",
    "Duncan",   "Donald",    "Douglas",  "Dennis",   "Cyril",       "Clifford",  "Clement",  "Bernard",   "Basil",
    "Barnaby",  "Archibald", "Ambrose",  "Victor",   "Vincent",     "Wilfred",   "Rupert",   "Reginald",  "Percy",
    "Sidney",   "Stuart",    "Wallace",  "Wright",   "Turner",      "Taylor",    "Carter",   "Cooper",    "Walker",
    "Parker",   "Palmer",    "Porter",   "Potter",   "Mason",       "Miller",    "Morris",   "Morgan",    "Murray",
    "Murphy",   "Nelson",    "Newton",   "Norton",   "Page",        "Perry",     "Price",    "Reed",      "Robinson",
    "Rogers",   "Ross",      "Russell",  "Scott",    "Shaw",        "Simpson",   "Spencer",  "Stone",     "Thompson",
    "Warren",   "Watson",    "Webb",     "Wells",    "West",        "Wheeler",   "White",    "Wilson",    "Wood"};

inline constexpr std::string_view kRecallWords[] = {
    "apple",    "anchor",   "answer",   "apron",     "arch",     "arrow",   "autumn",   "barrel",   "basket",
    "battle",   "beacon",   "bench",    "berry",     "blanket",  "blossom", "bottle",   "branch",   "bread",
    "breeze",   "bridge",   "bright",   "broken",    "brook",    "brother", "brown",    "bucket",   "bundle",
    "butter",   "button",   "cabin",    "candle",    "captain",  "carpet",  "carriage", "castle",   "cellar",
    "chain",    "chair",    "chapel",   "cheese",    "cherry",   "chimney", "church",   "circle",   "clear",
    "clever",   "cliff",    "cloak",    "clock",     "cloud",    "clover",  "coach",    "coast",    "coffee",
    "cold",     "colour",   "copper",   "corner",    "cottage",  "cotton",  "country",  "courage",  "cousin",
    "cradle",   "cream",    "creature", "crimson",   "crooked",  "cross",   "crown",    "curious",  "curtain",
    "dance",    "daughter", "dawn",     "deep",      "desert",   "diamond", "dinner",   "distant",  "doctor",
    "dream",    "drum",     "dusty",    "eagle",     "early",    "earth",   "east",     "echo",     "empty",
    "engine",   "evening",  "faint",    "fair",      "fairy",    "faith",   "family",   "farmer",   "father",
    "feather",  "fence",    "fever",    "field",     "fiddle",   "finger",  "fire",     "flame",    "flat",
    "flower",   "flute",    "forest",   "fortune",   "fountain", "fresh",   "friend",   "frost",    "fruit",
    "garden",   "gate",     "gentle",   "giant",     "glass",    "glove",   "gold",     "golden",   "goose",
    "grain",    "grand",    "grass",    "grave",     "great",    "green",   "grey",     "guest",    "guitar",
    "hammer",   "handle",   "happy",    "harbour",   "harvest",  "hazel",   "heart",    "heavy",    "hedge",
    "hidden",   "hollow",   "holy",     "honest",    "honey",    "horn",    "horse",    "hotel",    "hour",
    "house",    "humble",   "hunter",   "iron",      "island",   "ivory",   "jewel",    "journey",  "judge",
    "jump",     "kettle",   "king",     "kitchen",   "kitten",   "knife",   "knight",   "ladder",   "lady",
    "lake",     "lamp",     "lantern",  "large",     "laughter", "lawn",    "leather",  "lemon",    "letter",
    "library",  "light",    "lily",     "linen",     "lion",     "little",  "lively",   "lock",     "lonely",
    "loose",    "lucky",    "magic",    "maiden",    "mantle",   "maple",   "marble",   "market",   "meadow",
    "merry",    "message",  "middle",   "midnight",  "mild",     "milk",    "mill",     "mirror",   "mist",
    "modest",   "moment",   "money",    "moonlight", "morning",  "mother",  "mountain", "music",    "narrow",
    "needle",   "nephew",   "noble",    "noisy",     "north",    "number",  "ocean",    "office",   "olive",
    "open",     "orange",   "orchard",  "oven",      "oyster",   "page",    "paint",    "palace",   "paper",
    "parcel",   "parlour",  "party",    "passage",   "path",     "patient", "pebble",   "pencil",   "people",
    "pepper",   "picture",  "pigeon",   "pillow",    "pilot",    "pink",    "plain",    "planet",   "plate",
    "pleasant", "pocket",   "poet",     "polite",    "pond",     "poor",    "porch",    "powder",   "present",
    "pretty",   "prince",   "proud",    "purple",    "quarter",  "queen",   "quick",    "quiet",    "rabbit",
    "rain",     "rapid",    "rare",     "raven",     "ready",    "ribbon",  "river",    "road",     "robin",
    "rock",     "roof",     "room",     "rope",      "rose",     "rough",   "round",    "royal",    "ruby",
    "saddle",   "sailor",   "salt",     "sand",      "scarlet",  "school",  "scissors", "secret",   "servant",
    "shadow",   "sharp",    "sheep",    "shell",     "shepherd", "shining", "ship",     "shore",    "short",
    "silent",   "silk",     "silver",   "simple",    "sister",   "slender", "slow",     "small",    "smoke",
    "smooth",   "snow",     "sober",    "soft",      "soldier",  "solid",   "song",     "south",    "spade",
    "spark",    "spider",   "spirit",   "spoon",     "spring",   "square",  "stable",   "star",     "station",
    "steady",   "steam",    "steel",    "stone",     "storm",    "story",   "stove",    "stranger", "straw",
    "stream",   "street",   "strong",   "sudden",    "sugar",    "summer",  "sunny",    "supper",   "sweet",
    "sword",    "table",    "tailor",   "tall",      "teacher",  "temple",  "tender",   "thin",     "thirsty",
    "thunder",  "ticket",   "tiger",    "timber",    "tired",    "torch",   "tower",    "town",     "travel",
    "treasure", "tree",     "trumpet",  "tunnel",    "twelve",   "uncle",   "useful",   "valley",   "velvet",
    "village",  "vine",     "violet",   "violin",    "voice",    "wagon",   "warm",     "watch",    "water",
    "weary",    "west",     "wheat",    "wheel",     "whisper",  "whistle", "white",    "wide",     "wild",
    "willow",   "window",   "wine",     "winter",    "wisdom",   "wise",    "wolf",     "wonder",   "wooden",
    "work",     "yellow",   "young"};

// The A in "The A of OWNER is VALUE."
inline constexpr std::string_view kRecallAttributes[] = {
    "pass-phrase",  "password", "secret word", "secret number", "code",  "number",    "favourite word", "address",
    "colour",       "motto",    "prize",       "answer",        "sign",  "watchword", "ticket",         "room",
    "message",      "parcel",   "gift",        "title",         "mark",  "seal",      "key word",       "treasure",
    "lucky number", "nickname", "town",        "horse",         "trade", "flower"};

inline constexpr std::string_view kRecallColours[] = {"red",    "blue",    "green",   "yellow", "purple", "orange",
                                                      "brown",  "black",   "white",   "grey",   "pink",   "silver",
                                                      "golden", "crimson", "scarlet", "violet"};
inline constexpr std::string_view kRecallFoods[] = {
    "apples",   "pears",    "bread",     "cheese",   "soup",         "rice",    "fish",
    "pancakes", "honey",    "potatoes",  "salad",    "cake",         "plums",   "cherries",
    "eggs",     "beans",    "pie",       "porridge", "mushrooms",    "carrots", "toast",
    "ginger",   "biscuits", "chocolate", "oranges",  "strawberries", "walnuts", "peaches"};
inline constexpr std::string_view kRecallDrinks[] = {"tea",      "coffee", "water", "milk", "cider",
                                                     "lemonade", "cocoa",  "beer",  "wine", "juice"};
inline constexpr std::string_view kRecallAnimals[] = {
    "dog",   "cat",      "horse", "rabbit", "parrot", "goat", "pony",  "duck",  "goose", "donkey",
    "fox",   "owl",      "mouse", "bear",   "wolf",   "lion", "tiger", "whale", "frog",  "hedgehog",
    "raven", "squirrel", "otter", "swan",   "cow",    "pig",  "sheep", "hen"};
inline constexpr std::string_view kRecallFlowers[] = {"rose",   "lily",  "tulip",    "daisy",    "violet",
                                                      "orchid", "poppy", "lavender", "daffodil", "primrose"};
inline constexpr std::string_view kRecallGames[] = {"chess",   "football", "tennis",   "cricket", "cards",
                                                    "golf",    "draughts", "swimming", "rowing",  "hockey",
                                                    "sailing", "skating",  "running"};
inline constexpr std::string_view kRecallHobbies[] = {"fishing", "reading", "painting", "gardening", "singing",
                                                      "sewing",  "baking",  "sailing",  "rowing",    "chess"};
inline constexpr std::string_view kRecallJobs[] = {
    "teacher",  "baker",     "sailor", "doctor",     "gardener", "painter", "farmer", "nurse",
    "writer",   "carpenter", "tailor", "printer",    "driver",   "cook",    "lawyer", "shepherd",
    "engineer", "musician",  "clerk",  "blacksmith", "pilot",    "mason",   "miller"};
inline constexpr std::string_view kRecallTowns[] = {
    "London", "Paris",    "Rome",   "Berlin",  "Madrid",  "Vienna", "Lisbon",  "Dublin",  "Oslo",   "Prague",
    "Athens", "Cairo",    "Boston", "Chicago", "Tokyo",   "Delhi",  "Bristol", "Leeds",   "York",   "Oxford",
    "Venice", "Florence", "Naples", "Geneva",  "Hamburg", "Munich", "Bergen",  "Toronto", "Sydney", "Lima"};
inline constexpr std::string_view kRecallCountries[] = {
    "France", "England", "Italy",   "Spain",    "Germany", "Austria", "Portugal", "Ireland", "Norway",
    "Sweden", "Denmark", "Poland",  "Greece",   "Egypt",   "Japan",   "China",    "India",   "Russia",
    "Turkey", "Hungary", "Belgium", "Scotland", "Wales",   "Canada",  "Cuba",     "Peru"};
inline constexpr std::string_view kRecallSeasons[] = {"spring", "summer", "autumn", "winter"};
inline constexpr std::string_view kRecallDays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                   "Friday", "Saturday", "Sunday"};
inline constexpr std::string_view kRecallMonths[] = {"January",   "February", "March",    "April",
                                                     "May",       "June",     "July",     "August",
                                                     "September", "October",  "November", "December"};
inline constexpr std::string_view kRecallStreetKinds[] = {"Street", "Road", "Lane"};

// What the value of a slot looks like.
enum class RecallKind {
    age,
    birthday,
    car,
    colour,
    country,
    day,
    digits,
    drink,
    flower,
    food,
    game,
    animal,
    hobby,
    job,
    number,
    person,
    phrase,
    season,
    street,
    time,
    town
};

// The N in "My N is VALUE."; no two mean the same thing.
struct RecallSlot {
    std::string_view name;
    RecallKind kind;
};
inline constexpr RecallSlot kRecallSlots[] = {
    {"name", RecallKind::person},
    {"nickname", RecallKind::person},
    {"age", RecallKind::age},
    {"job", RecallKind::job},
    {"birthday", RecallKind::birthday},
    {"home town", RecallKind::town},
    {"home country", RecallKind::country},
    {"street", RecallKind::street},
    {"car", RecallKind::car},
    {"hobby", RecallKind::hobby},
    {"favourite colour", RecallKind::colour},
    {"favourite food", RecallKind::food},
    {"favourite animal", RecallKind::animal},
    {"favourite season", RecallKind::season},
    {"favourite game", RecallKind::game},
    {"favourite flower", RecallKind::flower},
    {"favourite drink", RecallKind::drink},
    {"favourite day", RecallKind::day},
    {"favourite number", RecallKind::number},
    {"lucky number", RecallKind::number},
    {"favourite book", RecallKind::phrase},
    {"favourite song", RecallKind::phrase},
    {"favourite word", RecallKind::phrase},
    {"dog's name", RecallKind::person},
    {"cat's name", RecallKind::person},
    {"horse's name", RecallKind::person},
    {"parrot's name", RecallKind::person},
    {"sister's name", RecallKind::person},
    {"brother's name", RecallKind::person},
    {"mother's name", RecallKind::person},
    {"father's name", RecallKind::person},
    {"wife's name", RecallKind::person},
    {"husband's name", RecallKind::person},
    {"son's name", RecallKind::person},
    {"daughter's name", RecallKind::person},
    {"uncle's name", RecallKind::person},
    {"aunt's name", RecallKind::person},
    {"teacher's name", RecallKind::person},
    {"boss's name", RecallKind::person},
    {"neighbour's name", RecallKind::person},
    {"doctor's name", RecallKind::person},
    {"best friend's name", RecallKind::person},
    {"boat's name", RecallKind::person},
    {"ship's name", RecallKind::person},
    {"pass-phrase", RecallKind::phrase},
    {"password", RecallKind::phrase},
    {"secret word", RecallKind::phrase},
    {"code word", RecallKind::phrase},
    {"magic word", RecallKind::phrase},
    {"secret phrase", RecallKind::phrase},
    {"PIN", RecallKind::digits},
    {"door code", RecallKind::digits},
    {"locker number", RecallKind::digits},
    {"room number", RecallKind::digits},
    {"house number", RecallKind::digits},
    {"secret code", RecallKind::digits},
    {"secret number", RecallKind::digits},
    {"seat number", RecallKind::digits},
    {"ticket number", RecallKind::digits},
    {"order number", RecallKind::digits},
    {"phone number", RecallKind::digits},
    {"dentist appointment time", RecallKind::time},
    {"train time", RecallKind::time},
    {"meeting time", RecallKind::time},
    {"flight time", RecallKind::time},
};

// What is answered to "My N is VALUE."
inline constexpr std::string_view kRecallAcknowledgements[] = {"I will remember that.",
                                                               "I'll remember it.",
                                                               "Thank you, I will keep it in mind.",
                                                               "Noted.",
                                                               "Okay.",
                                                               "Very well.",
                                                               "I see.",
                                                               "Good to know."};

}  // namespace strata

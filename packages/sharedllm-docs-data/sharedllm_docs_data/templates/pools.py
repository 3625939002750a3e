"""Words to fill made-up contexts with."""

from __future__ import annotations

from sharedllm_docs_data.wordlists import listed

COLOURS = listed(
    "red blue green yellow white black brown grey purple orange pink silver golden turquoise scarlet beige"
)
OBJECTS = listed(
    "key lamp notebook umbrella suitcase camera guitar violin clock vase mirror carpet kettle toolbox "
    "ladder telescope compass typewriter bicycle helmet blanket candle statue globe map medal mask "
    "lantern trumpet drum basket barrel hammer microscope projector printer tablet scanner router cable "
    "battery generator pump drill tripod canvas chess-set teapot bracelet necklace ring scarf jacket "
    "backpack tent rope anchor saddle wheelbarrow sewing-machine"
)
ANIMALS = listed("fox owl otter heron badger falcon lynx tortoise beaver raven stork hedgehog salmon walrus ibex gecko")
ROOMS = listed(
    "the kitchen|the library|the attic|the cellar|the workshop|the garage|the greenhouse|the laboratory|"
    "the archive|the reading room|the boiler room|the conference room|the reception|the canteen|"
    "the east wing|the west wing|the storeroom|the chapel|the courtyard|the lecture hall|the server room|"
    "the loading bay|the studio|the gatehouse"
)
CONTAINERS = listed(
    "the oak cupboard|the steel cabinet|the blue crate|the cedar chest|the wall safe|the top drawer|"
    "the wicker basket|the glass case|the leather trunk|the tin box|the canvas bag|the filing cabinet|"
    "the long shelf|the locker by the door|the wooden crate|the bottom drawer|the tool cart|"
    "the display case|the paper carton|the iron chest"
)
TEAMS = listed(
    "accounting|logistics|marine biology|cartography|payroll|quality control|network operations|"
    "customer support|research|legal affairs|purchasing|translation|public relations|maintenance|"
    "data protection|human resources|field services|packaging|archives|glass-blowing|forestry|"
    "railway signals|water supply|crop science"
)
PROFESSIONS = listed(
    "architect baker beekeeper botanist carpenter chemist clockmaker cook dentist electrician gardener "
    "geologist glazier goldsmith historian interpreter jeweller judge librarian locksmith mason midwife "
    "miller musician nurse optician painter pharmacist pilot plumber potter printer roofer sailor "
    "sculptor shepherd surgeon surveyor tailor teacher translator upholsterer vet weaver welder"
)
HOBBIES = listed(
    "chess|fencing|kite flying|rowing|bird watching|wood carving|astronomy|calligraphy|rock climbing|"
    "cheese making|archery|stamp collecting|folk dancing|origami|model railways|orienteering|photography|"
    "beekeeping|juggling|cave diving"
)
GOODS = listed(
    "bolts|brackets|copper pipes|light bulbs|fuses|hinges|paint tins|paper rolls|ink cartridges|cables|"
    "screws|washers|gaskets|ball bearings|filters|valves|springs|sensors|switches|batteries|labels|"
    "envelopes|gloves|safety goggles|door handles|tiles|bricks|planks|sacks of cement|window frames|"
    "chairs|desks|monitors|keyboards|lenses|tripods"
)
EVENTS = listed(
    "the budget review|the fire drill|the staff meeting|the product launch|the board election|"
    "the summer party|the audit|the open day|the safety training|the press conference|the stocktaking|"
    "the network upgrade|the site inspection|the book fair|the science talk|the charity run|the concert|"
    "the photo exhibition|the first-aid course|the jubilee"
)
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
SETTINGS = listed(
    "max_connections timeout_seconds cache_size_mb retry_limit log_level listen_port buffer_kb "
    "worker_threads poll_interval session_lifetime upload_limit_mb backup_hour queue_depth page_size "
    "idle_minutes keep_alive compression_level batch_size min_free_disk max_redirects render_quality "
    "frame_rate sample_rate volume_percent login_attempts token_bytes hash_rounds index_shards "
    "read_ahead write_delay_ms max_depth history_length line_width tab_stop heartbeat_ms grace_period "
    "warm_up_steps spare_nodes replica_count lease_days audit_interval pool_size stack_limit scan_rate "
    "dead_time"
)
PLANETS = (
    "Vorlan",
    "Teshka",
    "Ommerin",
    "Quillas",
    "Brevan",
    "Solmira",
    "Istrix",
    "Halduun",
    "Perrano",
    "Wexley",
    "Zarith",
    "Ondomar",
    "Kelvane",
    "Mirthal",
    "Dorran",
    "Lysander's Rest",
)
SURNAMES = listed(
    "Adeyemi Almeida Andersson Bauer Bianchi Brandt Carvalho Castellanos Chen Costa Dubois Eriksen "
    "Fischer Fontaine Garcia Hansen Haugen Hoffmann Horvath Ibrahim Ivanova Jensen Kaplan Kaya Keller "
    "Kim Kowalska Kumar Larsen Lindqvist Lopez Marchetti Mbeki Moreau Mueller Nakamura Novak Nowak Oduya "
    "Okafor Olsen Ortega Patel Petrov Popescu Rahman Ricci Rossi Santos Sato Schneider Sharma Silva "
    "Singh Sokolov Suzuki Takahashi Tanaka Toth Vargas Vermeulen Virtanen Weber Wójcik Yamamoto Yilmaz "
    "Zimmermann"
)
FIRST_NAMES = listed(
    "Ada Agnes Ahmed Akira Alba Alejandro Amara Amir Anders Anja Anton Asha Astrid Bela Benedikt Bruno "
    "Camila Carlos Clara Dalia Daniel Davor Diego Dora Edith Elena Elias Emil Erik Esra Fatima Felix "
    "Fiona Frida Gabor Greta Hana Hassan Helga Hugo Ida Ilse Ines Ingrid Irena Ivan Jana Jonas Josef "
    "Julia Kaito Karim Katya Kenji Lars Leila Lena Leon Lucia Magda Malik Marek Maria Mateo Mei Milan "
    "Mina Nadia Naomi Nils Nora Olga Omar Oskar Paula Pavel Petra Rafael Rania Rosa Ruben Samir Sara "
    "Selma Sofia Sven Tara Tariq Theo Tomas Ursula Valentin Vera Viktor Wanda Yara Yusuf Zofia"
)
CODE_WORDS = listed(
    "amber anchor arrow aspen aurora bamboo beacon birch bramble breeze canyon cascade cinder clover "
    "cobalt comet copper coral crystal dawn delta dune eagle echo ember falcon fern flint forest frost "
    "garnet glacier granite harbor harvest hazel horizon indigo iris island ivory jasmine juniper lagoon "
    "lantern laurel lavender lotus lunar maple marble meadow meteor mirage nebula nectar oasis ocean "
    "olive onyx opal orchid pebble pepper pine planet prairie prism quartz quill raven reef ridge river "
    "rocket ruby saffron sage sierra silver solar spruce stone summit sunset thistle thunder timber "
    "topaz torch tulip tundra valley velvet violet walnut willow winter zephyr"
)

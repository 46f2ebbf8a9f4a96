from cifar_helpers.cli import main

raise SystemExit(main())

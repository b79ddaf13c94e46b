// SPDX-License-Identifier: MIT
//
// By which method the points of a machine are kept, and how each method calls them. The one place
// that knows of all of them.
//
// Threads: plain functions.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "config/settings.h"
#include "image/qemu_img.h"
#include "point/points.h"
#include "qmp/client.h"
#include "snapshot/keep/keep_images.h"
#include "snapshot/point_images.h"

namespace holdfast::host::run {

// Of those that are there; without any, as the settings say.
[[nodiscard]] std::string method_of(const point::Points& points, const config::Settings& settings);

// In their images, or beside them.
[[nodiscard]] std::string name_in_images(const point::Point& point);

// `monitor` null: the machine is off.
[[nodiscard]] base::Result<std::unique_ptr<snapshot::PointImages>> make_point_images(
    const config::Settings& settings, image::QemuImg& images, qmp::Client* monitor,
    const point::Points& points);

// What is inside the images, whoever has made it.
[[nodiscard]] base::Result<std::unique_ptr<snapshot::PointImages>> make_internal_images(
    const config::Settings& settings, image::QemuImg& images, qmp::Client* monitor);

// Of points by the method `overlay`.
[[nodiscard]] std::unique_ptr<snapshot::KeepImages> make_keep_images(
    const config::Settings& settings, image::QemuImg& images, qmp::Client* monitor,
    const point::Points& points);

}  // namespace holdfast::host::run
